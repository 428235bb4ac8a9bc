package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// logWriters is how many writers the hammer has; each has a connection of its own.
const logWriters = 24

// readerPause is how often readers look that have nothing to wake them.
const readerPause = 2 * time.Millisecond

// Whatever writers do, every reader gets what is committed and nothing else: once, in one order, numbered without a hole. A stranger's
// transaction is open all along, and keeps nobody waiting.
func TestHammerLog(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(logWriters+24))
	ctx, cancel := context.WithTimeout(context.Background(), hammerTime()+2*time.Minute)
	t.Cleanup(cancel)
	b.ctx = ctx

	stranger := session(t, b)
	_, err := stranger.Exec(ctx, `BEGIN; CREATE TABLE public.of_a_stranger (); SELECT pg_current_xact_id()`)
	require.NoError(t, err)

	readers := logReaders(t, b)
	var writing atomic.Bool
	writing.Store(true)
	group, groupCtx := errgroup.WithContext(ctx)
	for _, r := range readers {
		group.Go(func() error { return r.follow(groupCtx, &writing) })
	}
	stats := &writerStats{}
	more := hammering(&stats.killed, &stats.held, &stats.rolledBack)
	writers, writersCtx := errgroup.WithContext(ctx)
	for i := range logWriters {
		w := &logWriter{b: b, t: t, random: rand.New(rand.NewPCG(uint64(i), 7)), number: i, stats: stats}
		writers.Go(func() error { return w.write(writersCtx, more) })
	}
	require.NoError(t, writers.Wait())
	writing.Store(false)
	require.NoError(t, group.Wait(), "every reader comes to the end while the stranger's transaction is open")

	committed := committedEvents(t, b)
	t.Logf("%d events; %v", len(committed), stats)
	require.NotEmpty(t, committed)
	require.Positive(t, stats.killed.Load())
	require.Positive(t, stats.held.Load())
	require.Positive(t, stats.rolledBack.Load())
	for _, r := range readers {
		requireSawAll(t, r, committed)
	}
	_, err = b.repo.LogHead(ctx)
	require.NoError(t, err)
	keep(t, b)
	requireAuditClean(t, b)
}

// committedEvents is the truth: what is in the table once all writers are done, in order of position.
func committedEvents(t *testing.T, b *bundle) []eventstream.LogEvent {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT position, partition_id, stream_id, version,
		row_number() OVER (ORDER BY position), row_number() OVER (PARTITION BY partition_id ORDER BY position)
		FROM eventstream.events ORDER BY position`)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e eventstream.LogEvent, err error) {
		err = row.Scan(&e.Position, &e.PartitionID, &e.StreamID, &e.Version, &e.Sequence, &e.PartitionSequence)
		return e, err
	})
	require.NoError(t, err)
	return events
}

// logReader follows the log its own way; selects says which events are for it.
type logReader struct {
	name    string
	journal *journal
	selects func(eventstream.LogEvent) bool
	// apart says that only the order within a partition is promised.
	apart  bool
	follow func(ctx context.Context, writing *atomic.Bool) error
}

func requireSawAll(t *testing.T, r *logReader, committed []eventstream.LogEvent) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(committed), func(e eventstream.LogEvent) bool { return !r.selects(e) })
	got := r.journal.all()
	if r.apart {
		byPartition := func(a, b eventstream.LogEvent) int { return a.PartitionID - b.PartitionID }
		slices.SortStableFunc(want, byPartition)
		slices.SortStableFunc(got, byPartition)
	}
	for i, e := range got[:min(len(got), len(want))] {
		require.Equal(t, [5]any{want[i].Position, want[i].StreamID, want[i].Version, want[i].Sequence, want[i].PartitionSequence},
			[5]any{e.Position, e.StreamID, e.Version, e.Sequence, e.PartitionSequence}, "%s: event %d", r.name, i)
	}
	require.Equal(t, len(want), len(got), "%s: number of events", r.name)
}

func everything(eventstream.LogEvent) bool { return true }

func logReaders(t *testing.T, b *bundle) []*logReader {
	odd := make([]int, 0, 16)
	for p := 1; p < eventstream.DefaultPartitionCount; p += 2 {
		odd = append(odd, p)
	}
	isOdd := func(e eventstream.LogEvent) bool { return e.PartitionID%2 == 1 }
	isHot := func(e eventstream.LogEvent) bool { return len(e.StreamID) > 4 && e.StreamID[:4] == "hot-" }
	return []*logReader{
		pollingReader(b, "ReadLog", eventstream.LogFilter{}, everything),
		pollingReader(b, "ReadLog of partitions", eventstream.LogFilter{Partitions: odd}, isOdd),
		pollingReader(b, "ReadLog of a category", eventstream.LogFilter{Category: "hot"}, isHot),
		sqlReader(t, b),
		subscriber(t, b, "tx", everything, func(j *journal) subscription.Handler { return subscription.TxHandler(j.tx) }, nil),
		subscriber(t, b, "effect", everything, func(j *journal) subscription.Handler { return subscription.EffectHandler(j.effect) }, nil),
		subscriber(t, b, "async", everything, func(j *journal) subscription.Handler { return subscription.AsyncHandler(asyncInOrder(j)) },
			&subscription.Config{BatchSize: 7}),
		subscriber(t, b, "shards", isOdd, func(j *journal) subscription.Handler { return subscription.TxHandler(j.tx) },
			&subscription.Config{Shards: 4, Filter: eventstream.LogFilter{Partitions: odd}}),
	}
}

// asyncInOrder notes events at once and acknowledges them later, from elsewhere.
func asyncInOrder(j *journal) subscription.AsyncHandler {
	return func(_ context.Context, events []eventstream.LogEvent, ack func(error)) {
		j.add(events)
		go ack(nil)
	}
}

// pollingReader reads the log again and again, each time from where it was.
func pollingReader(b *bundle, name string, filter eventstream.LogFilter, selects func(eventstream.LogEvent) bool) *logReader {
	r := &logReader{name: name, journal: newJournal(), selects: selects}
	r.follow = func(ctx context.Context, writing *atomic.Bool) error {
		next := int64(1)
		for {
			last := !writing.Load()
			for e, err := range b.repo.ReadLog(ctx, eventstream.LogOptions{From: eventstream.FromPosition(next), Filter: filter}) {
				if err != nil {
					return err
				}
				r.journal.add([]eventstream.LogEvent{e})
				next = e.Position + 1
			}
			if last {
				return nil
			}
			time.Sleep(readerPause)
		}
	}
	return r
}

// sqlReader does what anyone can do in psql: keep the stable position, and read up to the kept one in one statement.
func sqlReader(t *testing.T, b *bundle) *logReader {
	r := &logReader{name: "SQL", journal: newJournal(), selects: everything}
	conn := session(t, b)
	r.follow = func(ctx context.Context, writing *atomic.Bool) error {
		after := int64(0)
		for {
			last := !writing.Load()
			if _, err := conn.Exec(ctx, `SELECT eventstream.advance_stable_position()`); err != nil {
				return err
			}
			// Before the events are read: between that and a later look, another session may keep more than was read.
			caughtUp, err := keptAll(ctx, conn)
			if err != nil {
				return err
			}
			rows, err := conn.Query(ctx, `SELECT e.position, e.partition_id, e.stream_id, e.version,
					eventstream.sequence_at(e.position), eventstream.partition_sequence_at(e.partition_id, e.position)
				FROM eventstream.events AS e
				WHERE e.position > $1 AND e.position <= (SELECT l.stable_position FROM eventstream.log_state AS l)
				ORDER BY e.position`, after)
			if err != nil {
				return err
			}
			events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e eventstream.LogEvent, err error) {
				err = row.Scan(&e.Position, &e.PartitionID, &e.StreamID, &e.Version, &e.Sequence, &e.PartitionSequence)
				return e, err
			})
			if err != nil {
				return err
			}
			if len(events) > 0 {
				r.journal.add(events)
				after = events[len(events)-1].Position
			}
			if last && caughtUp {
				return nil
			}
			time.Sleep(readerPause)
		}
	}
	return r
}

// keptAll says whether log_state has come to the end: another session may be the one that keeps it.
func keptAll(ctx context.Context, q querier) (caughtUp bool, err error) {
	err = q.QueryRow(ctx, `SELECT l.stable_position = eventstream.last_position() FROM eventstream.log_state AS l`).Scan(&caughtUp)
	return caughtUp, err
}

func subscriber(
	t *testing.T, b *bundle, name string, selects func(eventstream.LogEvent) bool, handler func(*journal) subscription.Handler,
	config *subscription.Config,
) *logReader {
	r := &logReader{name: name, journal: newJournal(), selects: selects, apart: config != nil && config.Shards > 1}
	s := subscribe(t, b, "hammer."+name, handler(r.journal), config)
	r.follow = func(ctx context.Context, writing *atomic.Bool) error {
		running, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(running) }()
		for writing.Load() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		var last int64
		err := b.pool.QueryRow(ctx, `SELECT coalesce(max(position), 0) FROM eventstream.events`).Scan(&last)
		if err == nil {
			err = s.WaitFor(ctx, last)
		}
		cancel()
		return errors.Join(err, <-ended)
	}
	return r
}

type writerStats struct {
	committed, rolledBack, held, savepoints, killed, copied, raw, conflicts atomic.Int64
}

func (s *writerStats) String() string {
	return fmt.Sprintf("transactions: %d committed, %d rolled back, %d killed, %d held open; %d savepoints rolled back, %d COPY, %d raw INSERT, %d conflicts",
		s.committed.Load(), s.rolledBack.Load(), s.killed.Load(), s.held.Load(), s.savepoints.Load(), s.copied.Load(), s.raw.Load(), s.conflicts.Load())
}

// logWriter does everything that a writer may do.
type logWriter struct {
	b      *bundle
	t      *testing.T
	random *rand.Rand
	number int
	made   int
	hot    bool
	stats  *writerStats
}

func (w *logWriter) write(ctx context.Context, more func() bool) error {
	for ctx.Err() == nil && more() {
		err := w.transaction(ctx)
		switch {
		case err == nil:
		case errors.Is(err, eventstream.ErrVersionConflict), errors.Is(err, eventstream.ErrPositionOrder), eventstream.SafeToRetry(err),
			errors.Is(err, pgx.ErrTxClosed), isExpected(err):
			w.stats.conflicts.Add(1)
		default:
			return err
		}
	}
	return ctx.Err()
}

// transaction makes 1 to 5 appends and then commits, rolls back, or dies.
func (w *logWriter) transaction(ctx context.Context) error {
	conn, err := w.b.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	// Streams are taken in any order, so that deadlocks come; they need not take long.
	if _, err := tx.Exec(ctx, `SET LOCAL deadlock_timeout = '10ms'`); err != nil {
		return err
	}
	w.hot = w.random.IntN(4) == 0
	for range 1 + w.random.IntN(5) {
		if err := w.step(ctx, tx); err != nil {
			return err
		}
	}
	// The server holds it open; not those that everybody waits for.
	if !w.hot && w.random.IntN(15) == 0 {
		w.stats.held.Add(1)
		if _, err := tx.Exec(ctx, `SELECT pg_sleep($1)`, w.random.Float64()); err != nil {
			return err
		}
	}
	switch n := w.random.IntN(100); {
	case n < 25:
		w.stats.rolledBack.Add(1)
		return tx.Rollback(ctx)
	case n < 28:
		w.stats.killed.Add(1)
		return w.kill(ctx, conn)
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	w.stats.committed.Add(1)
	return nil
}

// kill ends the session from outside, in the middle of its transaction.
func (w *logWriter) kill(ctx context.Context, conn *pgxpool.Conn) error {
	_, err := w.b.pool.Exec(ctx, `SELECT pg_terminate_backend($1)`, int32(conn.Conn().PgConn().PID()))
	return err
}

func (w *logWriter) step(ctx context.Context, tx pgx.Tx) error {
	id := eventstream.StreamID(fmt.Sprintf("cold-%d", w.random.IntN(2000)))
	if w.hot && w.random.IntN(2) == 0 {
		id = eventstream.StreamID(fmt.Sprintf("hot-%d", w.random.IntN(6)))
	}
	switch w.random.IntN(10) {
	case 0:
		return w.savepoint(ctx, tx, id)
	case 1:
		return w.copyNew(ctx, tx)
	case 2:
		w.stats.raw.Add(1)
		_, err := tx.Exec(ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			SELECT $1::text, coalesce(max(e.version), 0) + 1, eventstream.partition_of($1::text, 32), 'raw.inserted', '1'
			FROM eventstream.events AS e WHERE e.stream_id = $1::text`, id)
		return err
	}
	_, err := w.b.repo.WithTx(tx).Append(ctx, id, eventstream.Any, someEvents(w.t, 1+w.random.IntN(3))...)
	return err
}

// savepoint appends and takes it back, and then appends again or not.
func (w *logWriter) savepoint(ctx context.Context, tx pgx.Tx, id eventstream.StreamID) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := w.b.repo.WithTx(inner).Append(ctx, id, eventstream.Any, anEvent(w.t, 1)); err != nil {
		return err
	}
	w.stats.savepoints.Add(1)
	if err := inner.Rollback(ctx); err != nil || w.random.IntN(2) == 0 {
		return err
	}
	_, err = w.b.repo.WithTx(tx).Append(ctx, id, eventstream.Any, anEvent(w.t, 2))
	return err
}

// copyNew fills a stream of its own by COPY.
func (w *logWriter) copyNew(ctx context.Context, tx pgx.Tx) error {
	w.made++
	id := fmt.Sprintf("copied-%d-%d", w.number, w.made)
	partition, err := eventstream.PartitionOf(eventstream.StreamID(id), eventstream.DefaultPartitionCount)
	if err != nil {
		return err
	}
	rows := make([][]any, 1+w.random.IntN(5))
	for i := range rows {
		rows[i] = []any{id, int64(i + 1), int32(partition.ID), "copied.in", []byte(`{}`)}
	}
	w.stats.copied.Add(1)
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"eventstream", "events"},
		[]string{"stream_id", "version", "partition_id", "type", "payload"}, pgx.CopyFromRows(rows))
	return err
}

// isExpected says that an error is one that careless writers get: a version that is taken, a deadlock, a death.
func isExpected(err error) bool {
	for _, code := range []string{"23505", "ES002", "ES006", "40P01", "57P01", "25P02"} {
		if hasCode(err, code) {
			return true
		}
	}
	return false
}
