package integration_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

type ingested = eventstream.IngestResult

// What follows the watermark goes to events; what leaves a hole waits, unseen by readers, and current_version counts it.
func TestIngestOutOfOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 7, eventstream.WithTenant("acme"))
	pick := func(versions ...int) []eventstream.Event {
		var picked []eventstream.Event
		for _, v := range versions {
			picked = append(picked, events[v-1])
		}
		return picked
	}
	for _, step := range []struct {
		versions []int
		want     ingested
		waiting  int64
	}{
		{[]int{1}, ingested{Appended: 1, Watermark: 1, CurrentVersion: 1}, 0},
		{[]int{3}, ingested{Pending: 1, Watermark: 1, CurrentVersion: 3}, 1},
		{[]int{7, 6}, ingested{Pending: 2, Watermark: 1, CurrentVersion: 7}, 3},
		{[]int{3, 1, 3}, ingested{Duplicates: 3, Watermark: 1, CurrentVersion: 7}, 3},
		{[]int{2}, ingested{Appended: 2, Watermark: 3, CurrentVersion: 7}, 2},
		{[]int{5, 2, 4, 5}, ingested{Appended: 4, Duplicates: 2, Watermark: 7, CurrentVersion: 7}, 0},
		{[]int{1, 2, 3, 4, 5, 6, 7}, ingested{Duplicates: 7, Watermark: 7, CurrentVersion: 7}, 0},
	} {
		got, err := b.repo.Ingest(b.ctx, "edge-1", pick(step.versions...)...)
		require.NoError(t, err)
		require.Equal(t, step.want, got, "%v", step.versions)
		require.Equal(t, step.waiting, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events`))
		head, err := b.repo.Stream(b.ctx, "edge-1")
		require.NoError(t, err)
		require.Equal(t, []int64{step.want.Watermark, step.want.CurrentVersion}, []int64{head.Watermark, head.CurrentVersion})
		seen := readAll(t, b.repo.Read(b.ctx, "edge-1", eventstream.ReadOptions{}))
		require.Len(t, seen, int(step.want.Watermark), "readers see what is at or below the watermark")
		require.NoError(t, b.repo.VerifyGapless(b.ctx, "edge-1"))
	}
	requireHolds(t, b, "edge-1", events...)
	for i, e := range readAll(t, b.repo.Read(b.ctx, "edge-1", eventstream.ReadOptions{})) {
		require.Equal(t, int64(i+1), e.Position, "positions rise with versions, though the events came in another order")
		require.Equal(t, events[i].OccurredAt, e.OccurredAt)
		require.Equal(t, eventstream.TenantID("acme"), e.TenantID)
		require.JSONEq(t, string(events[i].Payload), string(e.Payload))
	}
	_, err := b.repo.Append(b.ctx, "edge-1", eventstream.Exact(7), anEvent(t, 8))
	require.NoError(t, err, "a stream without a hole takes appends again")
	requireAuditClean(t, b)
}

// 1,000 events of one stream in random order, in random batches, with repeats, from 8 callers at once, while readers poll.
func TestIngestThousandEventsFromEightCallers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count, callers = 1000, 8
	events := numbered(t, count)
	var batches [][]eventstream.Event
	random := rand.New(rand.NewPCG(1, 2))
	order := random.Perm(count)
	for len(order) > 0 {
		size := min(len(order), 1+random.IntN(12))
		var batch []eventstream.Event
		for _, i := range order[:size] {
			batch = append(batch, events[i])
		}
		if order = order[size:]; random.IntN(3) == 0 {
			batch = append(batch, batch[random.IntN(len(batch))], events[random.IntN(count)])
		}
		batches = append(batches, batch)
		if random.IntN(5) == 0 {
			batches = append(batches, batches[random.IntN(len(batches))])
		}
	}

	writers, ctx := errgroup.WithContext(b.ctx)
	var next, done atomic.Int64
	for range callers {
		writers.Go(func() error {
			defer done.Add(1)
			for i := next.Add(1) - 1; i < int64(len(batches)); i = next.Add(1) - 1 {
				if _, err := b.repo.Ingest(ctx, "edge-1", batches[i]...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	readers, readerCtx := errgroup.WithContext(b.ctx)
	for range 2 {
		readers.Go(func() error {
			for last := 0; done.Load() < callers; {
				seen := 0
				for e, err := range b.repo.Read(readerCtx, "edge-1", eventstream.ReadOptions{}) {
					if err != nil && last == 0 {
						break // nothing arrived yet
					} else if err != nil {
						return err
					}
					if seen++; e.Version != int64(seen) {
						return fmt.Errorf("version %d where %d comes next", e.Version, seen)
					}
				}
				if seen < last {
					return fmt.Errorf("%d events, after %d were there", seen, last)
				}
				last = seen
				stream, err := b.repo.GetOrCreate(readerCtx, "edge-1")
				if err != nil {
					return err
				}
				if !stream.IsGapless() || int64(stream.EventCount()) != stream.Watermark() {
					return fmt.Errorf("loaded with a hole: %s", stream)
				}
			}
			return nil
		})
	}
	require.NoError(t, writers.Wait())
	require.NoError(t, readers.Wait())

	head, err := b.repo.Stream(b.ctx, "edge-1")
	require.NoError(t, err)
	require.Equal(t, []int64{count, count}, []int64{head.Watermark, head.CurrentVersion})
	requireHolds(t, b, "edge-1", events...)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events`))
	requireAuditClean(t, b)
}

// Two different events for one version are refused and both reported, wherever the first one is; the store keeps what it has.
func TestIngestOfAnotherEventForAVersionIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 4)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2])
	require.NoError(t, err)
	unchanged := untouched(t, b)
	other := func(version int64) eventstream.Event {
		e := anEvent(t, 99)
		e.Version = version
		return e
	}
	content := events[2].Clone()
	content.Payload = []byte(`{"n": 99}`)
	one, three, four := other(1), other(3), other(4)

	for name, c := range map[string]struct {
		events []eventstream.Event
		want   eventstream.IngestConflictError
	}{
		"InEvents":  {[]eventstream.Event{events[1], one}, eventstream.IngestConflictError{Version: 1, EventID: one.ID, OtherEventID: events[0].ID, Place: "events"}},
		"InPending": {[]eventstream.Event{events[3], three}, eventstream.IngestConflictError{Version: 3, EventID: three.ID, OtherEventID: events[2].ID, Place: "pending_events"}},
		"OtherContent": {[]eventstream.Event{content}, eventstream.IngestConflictError{
			Version: 3, EventID: content.ID, OtherEventID: content.ID, Place: "pending_events",
		}},
	} {
		c.want.StreamID = "edge-1"
		_, err := b.repo.Ingest(b.ctx, "edge-1", c.events...)
		var conflict *eventstream.IngestConflictError
		require.ErrorAs(t, err, &conflict, name)
		require.Equal(t, c.want, *conflict, name)
		require.ErrorIs(t, err, eventstream.ErrVersionConflict)
		requireSQLState(t, err, "ES001")
		require.False(t, eventstream.SafeToRetry(err))
		unchanged()
	}

	_, err = b.repo.Ingest(b.ctx, "edge-1", events[3], four)
	var conflict *eventstream.IngestConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, int64(4), conflict.Version)
	require.ElementsMatch(t, []uuid.UUID{events[3].ID, four.ID}, []uuid.UUID{conflict.EventID, conflict.OtherEventID})
	require.Equal(t, "this call", conflict.Place)
	unchanged()
}

// An event id names one event: not two versions, not two streams, whether it entered already or waits.
func TestIngestOfOneIDForTwoVersionsIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 4)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2])
	require.NoError(t, err)
	unchanged := untouched(t, b)
	as := func(e eventstream.Event, version int64) eventstream.Event {
		e.Version = version
		return e
	}
	for name, c := range map[string]struct {
		stream eventstream.StreamID
		events []eventstream.Event
		want   *eventstream.EventIDConflictError
	}{
		"Entered":          {"edge-1", []eventstream.Event{as(events[0], 2)}, &eventstream.EventIDConflictError{EventID: events[0].ID, FoundStreamID: "edge-1", FoundVersion: 1}},
		"Waiting":          {"edge-1", []eventstream.Event{as(events[2], 4)}, &eventstream.EventIDConflictError{EventID: events[2].ID, FoundStreamID: "edge-1", FoundVersion: 3}},
		"EnteredElsewhere": {"edge-2", []eventstream.Event{events[0]}, &eventstream.EventIDConflictError{EventID: events[0].ID, FoundStreamID: "edge-1", FoundVersion: 1}},
		"WaitingElsewhere": {"edge-2", []eventstream.Event{events[2]}, &eventstream.EventIDConflictError{EventID: events[2].ID, FoundStreamID: "edge-1", FoundVersion: 3}},
		"TwiceInOneCall":   {"edge-1", []eventstream.Event{as(events[1], 4), as(events[1], 2)}, nil},
	} {
		_, err := b.repo.Ingest(b.ctx, c.stream, c.events...)
		var conflict *eventstream.EventIDConflictError
		require.ErrorAs(t, err, &conflict, name)
		requireSQLState(t, err, "ES005")
		if c.want != nil {
			c.want.StreamID = c.stream
			conflict.Problem = ""
			require.Equal(t, c.want, conflict, name)
		}
		unchanged()
	}
}

// Append does not look at what waits elsewhere, so it may take the id of an event that waits. The audit says so, and once its hole is filled
// that event goes on record, as what it is: a conflict. The stream goes on without it.
func TestIngestOfAnIDThatAnAppendTookMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 3)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2])
	require.NoError(t, err)
	taken := events[2]
	taken.Version = 0
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Empty, taken)
	require.NoError(t, err)
	findings, err := b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Len(t, findings, 1)
	require.Equal(t, eventstream.SeverityError, findings[0].Severity)
	require.Contains(t, string(findings[0].Detail), "its event id is used by an event elsewhere")

	got, err := b.repo.Ingest(b.ctx, "edge-1", events[1])
	require.NoError(t, err)
	require.Equal(t, ingested{Appended: 1, Watermark: 2, CurrentVersion: 2}, got)
	require.Equal(t, []string{"edge-1 3: conflict: by now its version is another event, its id is elsewhere, or the stream is of another tenant or partition"}, discardedEvents(t, b))
	requireHolds(t, b, "edge-1", events[0], events[1])
	requireHolds(t, b, "order-1", events[2])
	requireAuditClean(t, b)
}

// A normal append to a stream with a hole is refused with the first missing version, in every mode; a repetition is still known.
func TestAppendToAStreamWithAHoleIsErrGap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 5)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[1], events[4])
	require.NoError(t, err)
	unchanged := untouched(t, b)
	for _, expected := range []eventstream.Expected{
		eventstream.Any, eventstream.Exists, eventstream.Empty, eventstream.Exact(2), eventstream.Exact(5), eventstream.Exact(0),
	} {
		_, err := b.repo.Append(b.ctx, "edge-1", expected, anEvent(t, 9))
		var gap *eventstream.GapError
		require.ErrorAs(t, err, &gap, expected)
		require.Equal(t, eventstream.GapError{StreamID: "edge-1", FirstMissing: 3, CurrentVersion: 5}, *gap)
		require.ErrorIs(t, err, eventstream.ErrGap)
	}
	stream, err := b.repo.Load(b.ctx, "edge-1")
	require.NoError(t, err)
	_, err = stream.AppendEvent(anEvent(t, 9))
	require.ErrorIs(t, err, eventstream.ErrGap)
	again, err := b.repo.Append(b.ctx, "edge-1", eventstream.Any, events[0], events[1])
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	unchanged()

	findings, err := b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Len(t, findings, 1)
	require.Equal(t, []any{"pending", eventstream.SeverityWarning, eventstream.StreamID("edge-1"), int64(3)},
		[]any{findings[0].Check, findings[0].Severity, findings[0].StreamID, findings[0].Version})
	require.Contains(t, string(findings[0].Detail), `"waiting": 1`)
}

// A hole filled by raw INSERT: what waits for nothing any more enters by AdvanceWatermark, and is pointed out until then.
func TestAdvanceWatermark(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 6)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[2], events[3], events[5])
	require.NoError(t, err)
	watermark, err := b.repo.AdvanceWatermark(b.ctx, "edge-1")
	require.NoError(t, err)
	require.Zero(t, watermark, "nothing to do")

	execSQL(t, b.ctx, b.pool, rawInsert, "edge-1", 1)
	// The next one that waits is not taken from under its hole by a raw INSERT that runs over it.
	_, err = b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'edge-1', v, eventstream.partition_of('edge-1', 32), 'a.b', '1' FROM generate_series(2, 3) AS v ORDER BY v`)
	requireSQLState(t, err, "ES002")
	execSQL(t, b.ctx, b.pool, rawInsert, "edge-1", 2)
	watermark, err = b.repo.Watermark(b.ctx, "edge-1")
	require.NoError(t, err)
	require.Equal(t, int64(2), watermark)
	findings, err := b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Len(t, findings, 1)
	require.Contains(t, string(findings[0].Detail), "advance_watermark")

	watermark, err = b.repo.AdvanceWatermark(b.ctx, "edge-1")
	require.NoError(t, err)
	require.Equal(t, int64(4), watermark)
	inTx(t, b, func(tx pgx.Tx) {
		_, err := b.repo.WithTx(tx).Ingest(b.ctx, "edge-1", events[4])
		require.NoError(t, err)
		watermark, err := b.repo.WithTx(tx).AdvanceWatermark(b.ctx, "edge-1")
		require.NoError(t, err)
		require.Equal(t, int64(6), watermark)
	})
	require.Equal(t, []int64{1, 2, 3, 4, 5, 6},
		versionsOf(readAll(t, b.repo.Read(b.ctx, "edge-1", eventstream.ReadOptions{}))))
	_, err = b.repo.AdvanceWatermark(b.ctx, "nowhere-1")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	requireAuditClean(t, b)
}

// A stream of which only later events arrived: it is there, and shows none of them.
func TestReadAStreamWhoseFirstEventIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.repo.Ingest(b.ctx, "edge-1", numbered(t, 3, eventstream.WithTenant("acme"))[2])
	require.NoError(t, err)
	require.Empty(t, readAll(t, b.repo.Read(b.ctx, "edge-1", eventstream.ReadOptions{})))
	require.Empty(t, readAll(t, b.repo.Read(b.ctx, "edge-1", eventstream.ReadOptions{Backwards: true})))
	for _, get := range []func() (*eventstream.EventStream, error){
		func() (*eventstream.EventStream, error) { return b.repo.Load(b.ctx, "edge-1") },
		func() (*eventstream.EventStream, error) { return b.repo.GetOrCreate(b.ctx, "edge-1") },
	} {
		stream, err := get()
		require.NoError(t, err)
		require.Equal(t, []int64{0, 3, 0}, []int64{stream.Watermark(), stream.CurrentVersion(), int64(stream.EventCount())})
		require.Equal(t, eventstream.TenantID("acme"), stream.TenantID())
		_, err = stream.AppendEvent(anEvent(t, 1))
		var gap *eventstream.GapError
		require.ErrorAs(t, err, &gap)
		require.Equal(t, eventstream.GapError{StreamID: "edge-1", FirstMissing: 1, CurrentVersion: 3}, *gap)
	}
	require.NoError(t, b.repo.VerifyGapless(b.ctx, "edge-1"))
	head, err := b.repo.Stream(b.ctx, "edge-1")
	require.NoError(t, err)
	require.Zero(t, head.LastPosition)
}

// Tenant and partition hold for what is ingested, as for what is appended.
func TestIngestTenantAndPartition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 4, eventstream.WithTenant("acme"))
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2])
	require.NoError(t, err)
	unchanged := untouched(t, b)
	foreign := numbered(t, 4, eventstream.WithTenant("other"))
	for _, e := range []eventstream.Event{foreign[1], foreign[3]} {
		_, err = b.repo.Ingest(b.ctx, "edge-1", e)
		var mismatch *eventstream.TenantMismatchError
		require.ErrorAs(t, err, &mismatch)
		require.Equal(t, eventstream.TenantMismatchError{StreamID: "edge-1", StreamTenant: "acme", EventTenant: "other"}, *mismatch)
	}
	_, err = b.pool.Exec(b.ctx, `SELECT * FROM eventstream.ingest('edge-1', '{2}', ARRAY[gen_random_uuid()], '{a.b}', NULL,
		p_partition_id => (eventstream.partition_of('edge-1', 32) + 1) % 32)`)
	requireSQLState(t, err, "ES007")
	unchanged()
	unnamed := numbered(t, 2)[1]
	_, err = b.repo.Ingest(b.ctx, "edge-1", unnamed)
	require.NoError(t, err, "who names no tenant takes the stream's")
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT watermark FROM eventstream.ingest('edge-2', '{1}', ARRAY[gen_random_uuid()],
		'{a.b}', NULL, p_partition_id => 5, p_tenant_id => 'acme')`).Scan(new(int64)))
	head, err := b.repo.Stream(b.ctx, "edge-2")
	require.NoError(t, err)
	require.Equal(t, 5, head.Partition.ID)
	requireAuditClean(t, b)
}
