package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
)

// archiveHammer is a store that several write, archive, erase, seal and read at once.
type archiveHammer struct {
	b       *bundle
	repo    *eventstream.Repository
	mu      sync.Mutex
	written map[eventstream.StreamID][]uuid.UUID
	moved   atomic.Int64
}

const hammeredStreams = 5

func hammeredStream(r *rand.Rand) eventstream.StreamID {
	return eventstream.StreamID(fmt.Sprintf("order-%d", r.IntN(hammeredStreams)))
}

func (h *archiveHammer) write(ctx context.Context, t *testing.T, r *rand.Rand) error {
	id := hammeredStream(r)
	h.mu.Lock()
	defer h.mu.Unlock() // so that the order of the journal is that of the streams; archivers and readers run beside
	var old uuid.UUID
	if ids := h.written[id]; len(ids) > 0 {
		old = ids[r.IntN(len(ids))]
	}
	events := someEvents(t, 1+r.IntN(4))
	options := pgx.TxOptions{IsoLevel: []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable}[r.IntN(3)]}
	err := pgx.BeginTxFunc(ctx, h.b.pool, options, func(tx pgx.Tx) error {
		_, err := h.repo.WithTx(tx).Append(ctx, id, eventstream.Any, events...)
		return err
	})
	if eventstream.SafeToRetry(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range events {
		h.written[id] = append(h.written[id], e.ID)
	}
	if old == uuid.Nil {
		return nil
	}
	// An id that is used, wherever it is by now, is refused in another stream, also by hand.
	_, err = h.b.pool.Exec(ctx, `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload, event_id) VALUES ($1, 1, 'a', 0, '{}', $2)`,
		fmt.Sprintf("other-%d", r.Int64()), old)
	if sqlState(err) != "23505" {
		return fmt.Errorf("an id that is used: %w", err)
	}
	return nil
}

func (h *archiveHammer) archive(ctx context.Context, r *rand.Rand) error {
	id := hammeredStream(r)
	var moved int64
	err := pgx.BeginFunc(ctx, h.b.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT eventstream.archive($1, $2, $3)`, id, 1+r.IntN(400), 1+r.IntN(20)).Scan(&moved)
		if err == nil && r.IntN(4) == 0 {
			return pgx.ErrTxCommitRollback
		}
		return err
	})
	if err == nil {
		h.moved.Add(moved)
	}
	if errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, eventstream.ErrInvalidValue) || sqlState(err) == "ES018" {
		return nil
	}
	return err
}

func (h *archiveHammer) erase(ctx context.Context, r *rand.Rand) error {
	_, err := h.repo.Erase(ctx, eventstream.Erasure{StreamID: hammeredStream(r), From: 1 + r.Int64N(30), To: 31, Reason: "r"})
	if errors.Is(err, eventstream.ErrInvalidValue) || errors.Is(err, eventstream.ErrStreamNotFound) {
		return nil // It is not that long yet.
	}
	return err
}

// read demands that a stream, and the log, have no hole at any moment.
func (h *archiveHammer) read(ctx context.Context, r *rand.Rand) error {
	id := hammeredStream(r)
	if stream, err := h.repo.Load(ctx, id); err == nil && !stream.IsGapless() {
		return fmt.Errorf("stream %s has a gap", id)
	} else if err != nil && !errors.Is(err, eventstream.ErrStreamNotFound) {
		return err
	}
	next := map[eventstream.StreamID]int64{}
	var sequence int64
	for e, err := range h.repo.ReadLog(ctx, eventstream.LogOptions{}) {
		if err != nil {
			return err
		}
		next[e.StreamID]++
		sequence++
		if e.Version != next[e.StreamID] || e.Sequence != sequence {
			return fmt.Errorf("log: version %d of %s after %d, number %d after %d", e.Version, e.StreamID, next[e.StreamID]-1, e.Sequence, sequence-1)
		}
	}
	return nil
}

// Whatever happens at once, every acknowledged event is there once, in order, in one of the two tables; and seals from in between hold.
func TestHammerArchive(t *testing.T) {
	t.Parallel()
	b := attachedStore(t, withMaxConns(20))
	ctx, cancel := context.WithTimeout(context.Background(), hammerTime()+2*time.Minute)
	t.Cleanup(cancel)
	h := &archiveHammer{b: b, repo: sizedRepo(t, b.pool, 7), written: map[eventstream.StreamID][]uuid.UUID{}}
	group, groupCtx := errgroup.WithContext(ctx)
	until := time.Now().Add(hammerTime())
	for i, does := range []func(ctx context.Context, r *rand.Rand) error{
		func(ctx context.Context, r *rand.Rand) error { return h.write(ctx, t, r) },
		func(ctx context.Context, r *rand.Rand) error { return h.write(ctx, t, r) },
		h.archive, h.archive, h.erase, h.read, h.read,
		func(ctx context.Context, r *rand.Rand) error {
			_, _, err := seal.Next(ctx, b.pool, 1+r.IntN(50))
			return err
		},
	} {
		group.Go(func() error {
			for r := rand.New(rand.NewPCG(uint64(i), 11)); time.Now().Before(until); {
				if err := does(groupCtx, r); err != nil {
					return fmt.Errorf("actor %d: %w", i, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Positive(t, h.moved.Load())
	for id, ids := range h.written {
		require.Equal(t, ids, idsOf(mustLoad(t, b, id).EventsFrom(1)), id)
	}
	both := number(t, ctx, b.pool, `SELECT count(*) FROM eventstream.archived_events AS a JOIN ONLY eventstream.events AS e USING (event_id)`)
	require.Zero(t, both)
	t.Logf("%d moved of %d", h.moved.Load(), number(t, ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	require.Empty(t, sealFaults(t, b, nil))
	keep(t, b)
	requireAuditClean(t, b)
}
