package throughput

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/eventstream"
)

// Who shares a stream with others needs its next version from somewhere: a row that is locked until the commit. One statement moves it and
// writes the event; the second one moves it if it stands where the writer believes.
const (
	insertHead = `WITH head AS (
    UPDATE bare.heads SET version = version + 1, updated_at = clock_timestamp() WHERE stream_id = $1 RETURNING version
) ` + insertOnHead
	insertExactHead = `WITH head AS (
    UPDATE bare.heads SET version = version + 1, updated_at = clock_timestamp() WHERE stream_id = $1 AND version = $7 RETURNING version
) ` + insertOnHead
	insertOnHead = baseline.InsertColumns + `
SELECT head.version, $2, $3, $4, $1, $5, $6 FROM head
RETURNING version`
	selectHead = `SELECT version FROM bare.heads WHERE stream_id = $1`
)

// prepareHotAny compares many writers of one stream who do not mind its version.
func prepareHotAny(ctx context.Context, s *store) ([]side, error) {
	raw := func(ctx context.Context, hot *baseline.Stream) (int, error) {
		id, err := uuid.NewV7()
		if err != nil {
			return 0, err
		}
		return 1, s.Raw.QueryRow(ctx, insertHead, string(hot.ID), [16]byte(id), time.Now(), hot.Partition, baseline.EventType, baseline.Payload).
			Scan(&hot.Version)
	}
	gapless := func(ctx context.Context, hot *baseline.Stream) (int, error) {
		events, err := baseline.NewEvents(1)
		if err != nil {
			return 0, err
		}
		_, err = s.Repo.Append(ctx, hot.ID, eventstream.Any, events...)
		return 1, err
	}
	return s.prepareHot(ctx, raw, gapless)
}

// prepareHotExact compares many writers of one stream who have seen it at a version, and try again if it has moved on. A call ends
// when its event is written.
func prepareHotExact(ctx context.Context, s *store) ([]side, error) {
	return s.prepareHot(ctx, s.insertExact, s.appendUntilExact)
}

func (s *store) insertExact(ctx context.Context, hot *baseline.Stream) (int, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return 0, err
	}
	now := time.Now()
	for {
		err := s.Raw.QueryRow(ctx, insertExactHead,
			string(hot.ID), [16]byte(id), now, hot.Partition, baseline.EventType, baseline.Payload, hot.Version).Scan(&hot.Version)
		if !errors.Is(err, pgx.ErrNoRows) {
			return 1, err
		}
		if err := s.Raw.QueryRow(ctx, selectHead, string(hot.ID)).Scan(&hot.Version); err != nil {
			return 0, err
		}
	}
}

func (s *store) appendUntilExact(ctx context.Context, hot *baseline.Stream) (int, error) {
	events, err := baseline.NewEvents(1)
	if err != nil {
		return 0, err
	}
	for {
		result, err := s.Repo.Append(ctx, hot.ID, eventstream.Exact(hot.Version), events...)
		var conflict *eventstream.VersionConflictError
		if !errors.As(err, &conflict) {
			hot.Version = result.LastVersion
			return 1, err
		}
		hot.Version = conflict.Actual
	}
}

// prepareHot makes one stream. Each caller remembers where it saw it last.
func (s *store) prepareHot(ctx context.Context, raw, gapless func(context.Context, *baseline.Stream) (int, error)) ([]side, error) {
	if err := s.Seed(ctx, 1, 1, s.sizes.growLimit); err != nil {
		return nil, err
	}
	if _, err := s.Raw.Exec(ctx, `INSERT INTO bare.heads (stream_id, version) SELECT stream_id, version FROM bare.events`); err != nil {
		return nil, err
	}
	seen := func(do func(context.Context, *baseline.Stream) (int, error)) func(int) call {
		return func(int) call {
			hot := baseline.SeededStream(1, 1)
			return func(ctx context.Context) (int, error) { return do(ctx, hot) }
		}
	}
	return s.both(seen(raw), seen(gapless), counts(s.Raw, countBareHeads, 1), counts(s.Gapless, countGapless, 1)), nil
}
