package integration_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// raceOn is two sessions of a store: what the first does is not committed yet when the second begins.
type raceOn struct {
	*bundle
	first  pgx.Tx
	one    *eventstream.Repository
	pid    uint32
	second *pgx.Conn
	two    *eventstream.Repository
}

func newRace(t *testing.T, b *bundle) *raceOn {
	t.Helper()
	holder, second := session(t, b), session(t, b)
	tx, err := holder.Begin(b.ctx)
	require.NoError(t, err)
	return &raceOn{bundle: b, first: tx, one: repoOn(t, tx), pid: holder.PgConn().PID(), second: second, two: repoOn(t, second)}
}

// raced runs f in the second session, which must wait for the first one; the first commits, and the result of f is given.
func raced[T any](t *testing.T, r *raceOn, f func() (T, error)) (T, error) {
	t.Helper()
	done := start(f)
	waitBlocked(t, r.bundle, r.second.PgConn().PID(), r.pid)
	require.NoError(t, r.first.Commit(r.ctx))
	got := <-done
	return got.value, got.err
}

// requireNothingInBothPlaces demands that no event waits that is in the log, and that what waits waits for a hole.
func requireNothingInBothPlaces(t *testing.T, b *bundle) {
	t.Helper()
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events AS p JOIN eventstream.events AS e
		ON e.event_id = p.event_id OR (e.stream_id = p.stream_id AND e.version = p.version)`))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.audit_pending WHERE problem <> 'hole'`))
}

// Ingest and append of one stream, in both orders: who comes second waits, sees what the first did, and goes by it. An event is never in both
// tables, and none waits that is ready.
func TestIngestRacesAgainstAppend(t *testing.T) {
	t.Parallel()
	t.Run("AppendFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := newRace(t, b)
		events := numbered(t, 3)
		_, err := r.one.Append(b.ctx, "edge-1", eventstream.Empty, events[0])
		require.NoError(t, err)
		// The very same event, and what follows it: version 2 does not wait for the version 1 that was not visible when it came.
		got, err := raced(t, r, func() (ingested, error) { return r.two.Ingest(b.ctx, "edge-1", events[1], events[0]) })
		require.NoError(t, err)
		require.Equal(t, ingested{Appended: 1, Duplicates: 1, Watermark: 2, CurrentVersion: 2}, got)
		requireNothingInBothPlaces(t, b)
		requireHolds(t, b, "edge-1", events[0], events[1])
		requireAuditClean(t, b)
	})
	t.Run("AppendOfAnotherEventFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := newRace(t, b)
		appended, events := anEvent(t, 9), numbered(t, 2)
		_, err := r.one.Append(b.ctx, "edge-1", eventstream.Empty, appended)
		require.NoError(t, err)
		_, err = raced(t, r, func() (ingested, error) { return r.two.Ingest(b.ctx, "edge-1", events...) })
		var conflict *eventstream.IngestConflictError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, appended.ID, conflict.OtherEventID)
		requireHolds(t, b, "edge-1", appended)
		requireAuditClean(t, b)
	})
	t.Run("IngestFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := newRace(t, b)
		events := numbered(t, 2)
		_, err := r.one.Ingest(b.ctx, "edge-1", events...)
		require.NoError(t, err)
		appended := anEvent(t, 3)
		got, err := raced(t, r, func() (eventstream.AppendResult, error) {
			return r.two.Append(b.ctx, "edge-1", eventstream.Any, appended)
		})
		require.NoError(t, err)
		require.Equal(t, int64(3), got.LastVersion)
		requireHolds(t, b, "edge-1", events[0], events[1], appended)
		requireAuditClean(t, b)
	})
	t.Run("IngestThatLeavesAHoleFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := newRace(t, b)
		events := numbered(t, 2)
		_, err := r.one.Ingest(b.ctx, "edge-1", events[1])
		require.NoError(t, err)
		_, err = raced(t, r, func() (eventstream.AppendResult, error) {
			return r.two.Append(b.ctx, "edge-1", eventstream.Any, anEvent(t, 3))
		})
		var gap *eventstream.GapError
		require.ErrorAs(t, err, &gap)
		require.Equal(t, eventstream.GapError{StreamID: "edge-1", FirstMissing: 1, CurrentVersion: 2}, *gap)
		requireNothingInBothPlaces(t, b)
		_, err = b.repo.Ingest(b.ctx, "edge-1", events[0])
		require.NoError(t, err)
		requireAuditClean(t, b)
	})
}

// Two tenants, or two partitions, never wait on one stream: the first event that arrives fixes both, whoever brings it.
func TestIngestRacesOfTwoTenants(t *testing.T) {
	t.Parallel()
	acme, globex := numbered(t, 3, eventstream.WithTenant("acme")), numbered(t, 3, eventstream.WithTenant("globex"))
	tenants := func(t *testing.T, b *bundle) int64 {
		return number(t, b.ctx, b.pool, `SELECT count(DISTINCT tenant_id) FROM (
			SELECT tenant_id FROM eventstream.events UNION ALL SELECT tenant_id FROM eventstream.pending_events) AS x`)
	}
	t.Run("TwoIngests", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := newRace(t, b)
		_, err := r.one.Ingest(b.ctx, "edge-1", acme[1])
		require.NoError(t, err)
		_, err = raced(t, r, func() (ingested, error) { return r.two.Ingest(b.ctx, "edge-1", globex[2]) })
		require.ErrorIs(t, err, eventstream.ErrTenantMismatch)
		require.Equal(t, int64(1), tenants(t, b))
	})
	const firstOfGlobex = `INSERT INTO eventstream.events (stream_id, version, partition_id, tenant_id, type, payload)
		VALUES ('edge-1', 1, eventstream.partition_of('edge-1', 32), 'globex', 't', '1')`
	t.Run("RawInsertAfterIngest", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.repo.Ingest(b.ctx, "edge-1", acme[1])
		require.NoError(t, err)
		_, err = b.pool.Exec(b.ctx, firstOfGlobex)
		requireSQLState(t, err, "ES002")
		require.Equal(t, int64(1), tenants(t, b))
	})
	// A raw INSERT takes no lock, so neither sees the other. What waits then goes on record when its turn comes, and does not stop the stream.
	for _, ingestFirst := range []bool{false, true} {
		t.Run(map[bool]string{false: "IngestBesideRawInsert", true: "RawInsertBesideIngest"}[ingestFirst], func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := newRace(t, b)
			if ingestFirst {
				_, err := r.one.Ingest(b.ctx, "edge-1", acme[1])
				require.NoError(t, err)
				execSQL(t, b.ctx, r.second, firstOfGlobex)
			} else {
				execSQL(t, b.ctx, r.first, firstOfGlobex)
				_, err := r.two.Ingest(b.ctx, "edge-1", acme[1])
				require.NoError(t, err)
			}
			require.NoError(t, r.first.Commit(b.ctx))
			_, err := b.repo.Append(b.ctx, "edge-1", eventstream.Any, anEvent(t, 2))
			require.NoError(t, err, "the stream goes on")
			require.Equal(t, int64(1), tenants(t, b))
			require.Len(t, discardedEvents(t, b), 1)
			requireNothingInBothPlaces(t, b)
			requireAuditClean(t, b)
		})
	}
}

// A raw INSERT beside an ingest overtakes what waits: the same event is dropped there, another one goes on record. The log is the truth.
func TestIngestRawInsertOvertakesWhatWaits(t *testing.T) {
	t.Parallel()
	for name, same := range map[string]bool{"TheSameEvent": true, "AnotherEvent": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			events := of("edge-1", numbered(t, 3)...)
			r := newRace(t, b)
			// Versions 1 and 2 are under way, unseen, when 2 and 3 are put to wait.
			execSQL(t, b.ctx, r.first, rawInsertOf, rawColumns(events[0])...)
			if same {
				execSQL(t, b.ctx, r.first, rawInsertOf, rawColumns(events[1])...)
			} else {
				execSQL(t, b.ctx, r.first, rawInsert, "edge-1", 2)
			}
			if same {
				// One event has one id: its second coming waits for the first.
				got, err := raced(t, r, func() (ingested, error) { return r.two.Ingest(b.ctx, "edge-1", events[0], events[1], events[2]) })
				require.NoError(t, err)
				require.Equal(t, ingested{Appended: 1, Duplicates: 2, Watermark: 3, CurrentVersion: 3}, got)
			} else {
				_, err := r.two.Ingest(b.ctx, "edge-1", events[1], events[2])
				require.NoError(t, err, "they wait")
				require.NoError(t, r.first.Commit(b.ctx))
			}
			watermark, err := b.repo.AdvanceWatermark(b.ctx, "edge-1")
			require.NoError(t, err)
			require.Equal(t, int64(3), watermark)
			requireNothingInBothPlaces(t, b)
			require.Len(t, discardedEvents(t, b), map[bool]int{true: 0, false: 1}[same])
			requireAuditClean(t, b)
		})
	}
	t.Run("TheSameEventWaits", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		events := of("edge-1", numbered(t, 3)...)
		r := newRace(t, b)
		execSQL(t, b.ctx, r.first, rawInsertOf, rawColumns(events[0])...)
		execSQL(t, b.ctx, r.first, rawInsertOf, rawColumns(events[1])...)
		_, err := r.two.Ingest(b.ctx, "edge-1", events[1], events[2])
		require.NoError(t, err, "they wait: a table apart has keys of its own")
		require.NoError(t, r.first.Commit(b.ctx))
		require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.audit_pending WHERE problem LIKE 'waits for a version that exists%'`))
		_, err = b.repo.Append(b.ctx, "edge-1", eventstream.Exact(3), anEvent(t, 4))
		require.NoError(t, err, "append sorts that out before it judges")
		require.Empty(t, discardedEvents(t, b), "the same event is no conflict")
		requireNothingInBothPlaces(t, b)
		requireAuditClean(t, b)
	})
}

// A raw INSERT that fills a hole leaves what waited behind it ready. The next append moves that before it judges its own request, and whoever
// keeps the stable position does so too, without waiting for a stream that somebody holds.
func TestIngestRawInsertFillsTheHole(t *testing.T) {
	t.Parallel()
	prepared := func(t *testing.T) (*bundle, []eventstream.Event) {
		b := setup(t)
		events := of("edge-1", numbered(t, 4)...)
		_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2], events[3])
		require.NoError(t, err)
		execSQL(t, b.ctx, b.pool, rawInsertOf, rawColumns(events[1])...)
		return b, events
	}
	for name, do := range map[string]func(t *testing.T, b *bundle) error{
		"Append": func(t *testing.T, b *bundle) error {
			_, err := b.repo.Append(b.ctx, "edge-1", eventstream.Exact(4), anEvent(t, 5))
			return err
		},
		"AppendOfSeveral": func(t *testing.T, b *bundle) error {
			_, err := b.repo.Append(b.ctx, "edge-1", eventstream.Exact(4), someEvents(t, 2)...)
			return err
		},
		"AppendThatIsRefused": func(t *testing.T, b *bundle) error {
			_, err := b.repo.Append(b.ctx, "edge-1", eventstream.Exact(2), anEvent(t, 5))
			var conflict *eventstream.VersionConflictError
			require.ErrorAs(t, err, &conflict)
			require.Equal(t, int64(4), conflict.Actual, "what waited is counted: it was here before")
			return nil
		},
		"Ingest": func(t *testing.T, b *bundle) error {
			e := anEvent(t, 5)
			e.Version = 5
			_, err := b.repo.Ingest(b.ctx, "edge-1", e)
			return err
		},
		"AdvanceStablePosition": func(t *testing.T, b *bundle) error {
			_, err := b.pool.Exec(b.ctx, advance)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, events := prepared(t)
			require.NoError(t, do(t, b))
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events`))
			require.Equal(t, idsOf(events), idsOf(readAll(t, b.repo.Read(b.ctx, "edge-1", eventstream.ReadOptions{}))[:4]))
			require.Empty(t, discardedEvents(t, b))
			requireAuditClean(t, b)
		})
	}
	t.Run("AdvanceStablePositionThoughAStreamCannotMove", func(t *testing.T) {
		t.Parallel()
		b, _ := prepared(t)
		execSQL(t, b.ctx, b.pool, `CREATE FUNCTION public.never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''never''; END'`)
		execSQL(t, b.ctx, b.pool, `CREATE TRIGGER never BEFORE INSERT ON eventstream.events FOR EACH ROW WHEN (new.version = 3)
			EXECUTE FUNCTION public.never()`)
		end := drawn(t, b)
		execSQL(t, b.ctx, b.pool, advance)
		require.Equal(t, end, number(t, b.ctx, b.pool, `SELECT stable_position FROM eventstream.log_state`))
		require.Equal(t, int64(2), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events`))
	})
	t.Run("AdvanceStablePositionOfAStreamThatIsHeld", func(t *testing.T) {
		t.Parallel()
		b, _ := prepared(t)
		inTx(t, b, func(tx pgx.Tx) {
			execSQL(t, b.ctx, tx, `SELECT eventstream.lock_stream('edge-1')`)
			other := session(t, b)
			execSQL(t, b.ctx, other, `SET statement_timeout = '10s'`) // a lock_timeout would be caught with all that keeps a stream from moving
			execSQL(t, b.ctx, other, advance)
			require.Equal(t, drawn(t, b), number(t, b.ctx, b.pool, `SELECT stable_position FROM eventstream.log_state`), "nobody waits for it")
			require.Equal(t, int64(2), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.pending_events`))
		})
		_, err := b.repo.Append(b.ctx, "edge-1", eventstream.Exact(4), anEvent(t, 5))
		require.NoError(t, err, "its next append moves what waits")
		requireAuditClean(t, b)
	})
}
