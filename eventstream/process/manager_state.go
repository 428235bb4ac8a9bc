package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/shown"
)

// batch is what a transaction of a process knows of the keys that it is about.
type batch[S any] struct {
	core    core
	repo    *eventstream.Repository
	tx      pgx.Tx
	process string
	timers  bool
	states  map[string]*known[S]
}

// known is what is known of a key.
type known[S any] struct {
	state S
	known bool
	// stored is the state as the database has it; nil if it has none.
	stored json.RawMessage
}

// begin locks the states of the keys, and reads them.
func (m *Manager[S]) begin(ctx context.Context, tx pgx.Tx, keys []string) (*batch[S], error) {
	inside, err := coreOf(m.repo)
	if err != nil {
		return nil, err
	}
	b := &batch[S]{
		core: inside, repo: m.repo.WithTx(tx), tx: tx, process: m.process.Name, timers: m.timers != nil, states: map[string]*known[S]{},
	}
	for _, key := range keys {
		if key != "" {
			b.states[key] = &known[S]{}
		}
	}
	if len(b.states) == 0 {
		return b, nil
	}
	rows, err := db.New().ProcessStateLock(ctx, tx, db.ProcessStateLockParams{
		Process: b.process, Keys: slices.Collect(maps.Keys(b.states)),
	})
	if err != nil {
		return nil, explain(inside, err)
	}
	for _, row := range rows {
		at := b.states[row.Key]
		if at.state, at.stored, err = decodeState[S](b.process, row.Key, row.State); err != nil {
			return nil, err
		}
		at.known = true
	}
	return b, nil
}

// decodeState also gives the state as it would be written now, to see later on whether it has changed.
func decodeState[S any](process, key string, text json.RawMessage) (state S, stored json.RawMessage, err error) {
	if err = json.Unmarshal(text, &state); err == nil {
		stored, err = json.Marshal(state)
	}
	if err != nil {
		err = fmt.Errorf("state of process %s for key %s cannot be read: %w; mend the type, or what eventstream.process_states has",
			shown.Quote(process), shown.Quote(key), err)
	}
	return state, stored, err
}

// save writes what has changed.
func (b *batch[S]) save(ctx context.Context) error {
	// Empty arrays, not NULL.
	params := db.ProcessStateSaveParams{
		Process: b.process, NewKeys: []string{}, NewStates: []string{}, Keys: []string{}, States: []string{}, Ended: []string{},
	}
	for _, key := range slices.Sorted(maps.Keys(b.states)) {
		at := b.states[key]
		if !at.known {
			if at.stored != nil {
				params.Ended = append(params.Ended, key)
			}
			continue
		}
		text, err := marshal("state of the process", at.state)
		switch {
		case err != nil:
			return err
		case at.stored == nil:
			params.NewKeys, params.NewStates = append(params.NewKeys, key), append(params.NewStates, string(text))
		case !bytes.Equal(text, at.stored):
			params.Keys, params.States = append(params.Keys, key), append(params.States, string(text))
		}
	}
	if len(params.NewKeys)+len(params.Keys)+len(params.Ended) == 0 {
		return nil
	}
	return explain(b.core, db.New().ProcessStateSave(ctx, b.tx, params))
}

// State is what a process knows of a key, and whether it knows anything. It is for those who watch: a handler has it in Step.State.
func State[S any](ctx context.Context, repo *eventstream.Repository, process, key string) (state S, found bool, err error) {
	c, err := coreOf(repo)
	if err != nil {
		return state, false, err
	}
	row, err := db.New().ProcessStateGet(ctx, c.Handle(), db.ProcessStateGetParams{Process: process, Key: key})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return state, false, nil
	case err != nil:
		return state, false, c.ExplainRead(err)
	}
	state, _, err = decodeState[S](process, key, row.State)
	return state, err == nil, err
}
