package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// Batches over the same few streams in random order, some of them new, from 6 callers at once: no deadlock in 10,000 tries, for which only the
// long form has the time on any machine.
func TestHammerBatchesNeverDeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const callers, tries = 6, 10_000
	var tried, appended, refused atomic.Int64
	group, ctx := errgroup.WithContext(b.ctx)
	end := time.Now().Add(hammerTime())
	for caller := range callers {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(uint64(caller), 1))
			for tried.Add(1) <= tries && time.Now().Before(end) {
				// Eight streams that stay, and new ones that all callers create at about the same time.
				era := tried.Load() / 20
				var requests []request
				for range 2 + random.IntN(4) {
					stream := fmt.Sprintf("hot-%d", random.IntN(8))
					if random.IntN(2) == 0 {
						stream = fmt.Sprintf("new-%d-%d", era, random.IntN(4))
					}
					requests = append(requests, request{
						stream: stream, expected: []int64{anyVersion, anyVersion, exists, empty, 1}[random.IntN(5)],
						events: someEvents(t, 1+random.IntN(2)),
					})
				}
				lines, err := appendBatch(ctx, b.pool, random.IntN(2) == 0, requests...)
				if err != nil {
					return fmt.Errorf("try %d: %w", tried.Load(), err)
				}
				if slices.ContainsFunc(lines, func(line string) bool { return line[2] == 'a' }) {
					appended.Add(1)
				} else {
					refused.Add(1)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	t.Logf("%d calls appended something, %d nothing", appended.Load(), refused.Load())
	if longForm() {
		require.GreaterOrEqual(t, tried.Load(), int64(tries))
	}
	require.Positive(t, appended.Load())
	require.Positive(t, refused.Load())
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams WHERE current_version = 0`))
	requireAuditClean(t, b)
}

// ledger is what the callers of a hammer were told, and must find.
type ledger struct {
	mu     sync.Mutex
	stored map[eventstream.StreamID]map[int64]eventstream.Event
	double error
}

func (l *ledger) add(id eventstream.StreamID, result eventstream.AppendResult, events []eventstream.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stored[id] == nil {
		l.stored[id] = map[int64]eventstream.Event{}
	}
	for i, e := range events {
		version := result.FirstVersion + int64(i)
		if there, ok := l.stored[id][version]; ok && there.ID != e.ID {
			l.double = fmt.Errorf("version %d of %s was given to both %s and %s", version, id, there.ID, e.ID)
		}
		l.stored[id][version] = e
	}
}

// Eight callers over hot and cold streams with all expectations, transactions that roll back, savepoints, retries and raw
// INSERTs: each acknowledged event is there exactly once, at its version, nothing else is, and the audit is clean.
func TestHammerEveryAcknowledgedAppendIsThereOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	book := &ledger{stored: map[eventstream.StreamID]map[int64]eventstream.Event{}}
	end := time.Now().Add(hammerTime() / 2)
	group, ctx := errgroup.WithContext(b.ctx)
	var steps, deadlocks atomic.Int64
	for caller := range 8 {
		h := &hammerer{b: b, t: t, book: book, random: rand.New(rand.NewPCG(uint64(caller), 2))}
		group.Go(func() error {
			for time.Now().Before(end) && steps.Add(1) <= 20_000 {
				err := h.step(ctx)
				var conflict *pgconn.PgError
				switch {
				case err == nil, errors.Is(err, eventstream.ErrVersionConflict), errors.Is(err, eventstream.ErrGap),
					errors.Is(err, eventstream.ErrPositionOrder):
				case errors.As(err, &conflict) && conflict.Code == "40P01":
					// A raw INSERT takes the version first and the stream's row after it; append the other way round.
					deadlocks.Add(1)
				case errors.As(err, &conflict) && (conflict.Code == "23505" || conflict.Code == "ES002"):
				default:
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, book.double)
	t.Logf("%d steps, %d deadlocks with raw INSERTs", steps.Load(), deadlocks.Load())

	total := int64(0)
	for id, want := range book.stored {
		got := readAll(t, b.repo.Read(b.ctx, id, eventstream.ReadOptions{}))
		require.Len(t, got, len(want), "stream %s", id)
		for i, e := range got {
			require.Equal(t, int64(i+1), e.Version)
			require.Equal(t, want[e.Version].ID, e.ID, "version %d of %s", e.Version, id)
		}
		total += int64(len(want))
	}
	require.Equal(t, total, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	requireAuditClean(t, b)
}

type hammerer struct {
	b      *bundle
	t      *testing.T
	book   *ledger
	random *rand.Rand
}

func (h *hammerer) stream() eventstream.StreamID {
	if h.random.IntN(3) > 0 {
		return eventstream.StreamID(fmt.Sprintf("hot-%d", h.random.IntN(4)))
	}
	return eventstream.StreamID(fmt.Sprintf("cold-%d", h.random.IntN(1000)))
}

func (h *hammerer) expected(id eventstream.StreamID) eventstream.Expected {
	switch h.random.IntN(4) {
	case 0:
		return eventstream.Exists
	case 1:
		return eventstream.Empty
	case 2:
		h.book.mu.Lock()
		defer h.book.mu.Unlock()
		return eventstream.Exact(int64(len(h.book.stored[id])))
	}
	return eventstream.Any
}

func (h *hammerer) step(ctx context.Context) error {
	id, events := h.stream(), someEvents(h.t, 1+h.random.IntN(3))
	expected := h.expected(id)
	if h.random.IntN(40) == 0 {
		return h.rawInsert(ctx, id)
	}
	switch h.random.IntN(5) {
	case 0, 1: // an append, and at times its retry
		for range 1 + h.random.IntN(2) {
			result, err := h.b.repo.Append(ctx, id, expected, events...)
			if err != nil {
				return err
			}
			h.book.add(id, result, events)
		}
		return nil
	case 2:
		return h.many(ctx, id, expected, events)
	default:
		return h.transaction(ctx, id, expected, events)
	}
}

func (h *hammerer) many(ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, events []eventstream.Event) error {
	requests := []eventstream.AppendRequest{
		{StreamID: id, Expected: expected, Events: events},
		{StreamID: h.stream(), Expected: eventstream.Any, Events: someEvents(h.t, 2)},
	}
	results, err := h.b.repo.AppendMany(ctx, requests...)
	if err != nil {
		return err
	}
	for i, r := range requests {
		h.book.add(r.StreamID, results[i], r.Events)
	}
	return nil
}

// transaction appends once for good and once to a savepoint that may be rolled back, and then commits or not.
func (h *hammerer) transaction(ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, events []eventstream.Event) error {
	tx, err := h.b.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	first, err := h.b.repo.WithTx(tx).Append(ctx, id, expected, events...)
	if err != nil {
		return err
	}
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	more := someEvents(h.t, 1)
	second, err := h.b.repo.WithTx(inner).Append(ctx, id, eventstream.Exact(first.CurrentVersion), more...)
	if err != nil {
		return fmt.Errorf("a second append in a transaction that holds the stream: %w", err)
	}
	keepInner := h.random.IntN(2) == 0
	if !keepInner {
		err = inner.Rollback(ctx)
	} else {
		err = inner.Commit(ctx)
	}
	if err != nil || h.random.IntN(3) == 0 {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	h.book.add(id, first, events)
	if keepInner {
		h.book.add(id, second, more)
	}
	return nil
}

// rawInsert is a careless program that reads the version and inserts the next.
func (h *hammerer) rawInsert(ctx context.Context, id eventstream.StreamID) error {
	e := anEvent(h.t, 0)
	var version int64
	err := h.b.pool.QueryRow(ctx, `INSERT INTO eventstream.events (stream_id, version, event_id, partition_id, type, payload)
		SELECT $1::text, coalesce(max(e.version), 0) + 1, $2, eventstream.partition_of($1::text, 32), 'raw.inserted', '1'
		FROM eventstream.events AS e WHERE e.stream_id = $1::text
		RETURNING version::bigint`, id, e.ID).Scan(&version)
	if err != nil {
		return err
	}
	h.book.add(id, eventstream.AppendResult{FirstVersion: version}, []eventstream.Event{e})
	return nil
}
