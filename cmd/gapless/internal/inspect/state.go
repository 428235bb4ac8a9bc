package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

const (
	// maxFold is over how many events, and maxFoldBytes over how many bytes of them as they are stored, a page folds.
	maxFold, maxFoldBytes = 5000, 8 << 20
)

// stateView is a stream's state at a version, and what changed since another one.
type stateView struct {
	Tree    tree
	Changes []change
	Cut     bool
	// Why says why there is no state.
	Why string
}

// readStates gives the state at a version, and what is other than at the one it is compared with.
func (s *Server) readStates(ctx context.Context, tx pgx.Tx, stream string, at, compared int64) (view stateView, err error) {
	now, before, why, err := s.foldBoth(ctx, tx, stream, at, compared)
	if err != nil || why != "" {
		view.Why = why
		return view, err
	}
	text, err := json.Marshal(now)
	if err != nil {
		return view, err
	}
	view.Tree = newTree(string(text))
	view.Changes, view.Cut = difference(before, now)
	return view, nil
}

func (s *Server) foldBoth(ctx context.Context, tx pgx.Tx, stream string, at, compared int64) (now, before any, why string, err error) {
	if s.StateSQL == "" {
		return mergeBoth(ctx, tx, stream, at, compared)
	}
	if now, err = s.stateBySQL(ctx, tx, stream, at); err == nil {
		before, err = s.stateBySQL(ctx, tx, stream, compared)
	}
	return now, before, "", err
}

// stateBySQL asks the query that the operator gave.
func (s *Server) stateBySQL(ctx context.Context, tx pgx.Tx, stream string, version int64) (state any, err error) {
	var text *string
	err = tx.QueryRow(ctx, `SELECT left(q.state::text, 1000000) FROM (`+s.StateSQL+`) AS q (state)`, stream, version).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && text == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decode(*text)
}

// mergeBoth merges the payloads of a stream's events, one over the other, as RFC 7396 says.
func mergeBoth(ctx context.Context, tx pgx.Tx, stream string, at, compared int64) (now, before any, why string, err error) {
	var events, bytes int64
	last := max(at, compared)
	err = tx.QueryRow(ctx, `
		SELECT count(*), coalesce(sum(pg_column_size(e.payload)), 0)
		FROM (SELECT e.payload FROM eventstream.events AS e WHERE e.stream_id = $1 AND e.version <= $2 ORDER BY e.version LIMIT $3) AS e`,
		stream, last, maxFold+1).Scan(&events, &bytes)
	if err != nil {
		return nil, nil, "", err
	}
	if events > maxFold || bytes > maxFoldBytes {
		return nil, nil, fmt.Sprintf("The state at version %s is not computed here: a page merges %s events and %s at most.", number(last), number(maxFold),
			output.Bytes(maxFoldBytes)), nil
	}
	rows, err := tx.Query(ctx, `SELECT e.version, e.payload::text FROM eventstream.events AS e WHERE e.stream_id = $1 AND e.version <= $2 ORDER BY e.version`,
		stream, last)
	if err != nil {
		return nil, nil, "", err
	}
	var version int64
	var payload string
	_, err = pgx.ForEachRow(rows, []any{&version, &payload}, func() error {
		patch, err := decode(payload)
		if err != nil {
			return err
		}
		if version <= at {
			now = merge(now, patch)
		}
		if version <= compared {
			before = merge(before, patch)
		}
		return nil
	})
	return now, before, "", err
}

func decode(text string) (value any, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	err = dec.Decode(&value)
	return value, err
}

// merge puts a patch over a state: objects are merged, null removes a key, and an event without a JSON object says nothing of the state.
func merge(state, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return state
	}
	return mergeObject(state, changes)
}

func mergeObject(state any, changes map[string]any) map[string]any {
	old, _ := state.(map[string]any)
	merged := make(map[string]any, len(old)+len(changes))
	for key, value := range old {
		merged[key] = value
	}
	for key, value := range changes {
		inner, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(merged, key)
		case isObject:
			merged[key] = mergeObject(merged[key], inner)
		default:
			merged[key] = value
		}
	}
	return merged
}
