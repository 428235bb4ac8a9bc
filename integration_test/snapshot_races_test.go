package integration_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// saveBlocked lets a second session save a snapshot while the first holds its transaction open, waits until it is blocked, lets the first do
// the rest and end, and gives what came of the second.
func saveBlocked(t *testing.T, b *bundle, first *actor, commit bool, s eventstream.Snapshot, rest ...func()) (bool, error) {
	t.Helper()
	second := session(t, b)
	repo := repoOn(t, second)
	done := start(func() (bool, error) { return repo.SaveSnapshot(b.ctx, s) })
	waitBlocked(t, b, second.PgConn().PID(), first.pid())
	for _, f := range rest {
		f()
	}
	first.end(t, b, commit)
	saved := <-done
	return saved.value, saved.err
}

// Two writers of one snapshot: the older waits for the newer, and does not overwrite it; if the newer is rolled back, it is written.
func TestSnapshotRaceOfTwoWriters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ exists, commit bool }{
		"OfTheFirst, FirstCommits": {false, true}, "OfTheFirst, FirstRollsBack": {false, false},
		"OfTheNext, FirstCommits": {true, true}, "OfTheNext, FirstRollsBack": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			events := given(t, b, "order-1", 10)
			if c.exists {
				saveSnapshot(t, b, snapshotAt(events, "order-1", 2, "two"))
			}
			first := newActor(t, b)
			saved, err := first.repo.SaveSnapshot(b.ctx, snapshotAt(events, "order-1", 9, "nine"))
			require.NoError(t, err)
			require.True(t, saved)
			saved, err = saveBlocked(t, b, first, c.commit, snapshotAt(events, "order-1", 8, "eight"))
			require.NoError(t, err)
			require.Equal(t, !c.commit, saved)
			version := int64(8)
			if c.commit {
				version = 9
			}
			requireOnSnapshot(t, b, "order-1", version, eventstream.SnapshotUsed)
		})
	}
}

// The event that the newer snapshot was made at is committed while the older writer waits: it must not be taken for one that is not there.
func TestSnapshotRaceAgainstAnAppend(t *testing.T) {
	t.Parallel()
	for name, locks := range map[string]bool{"WaitsToInsert": false, "WaitsForTheRow": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			events := given(t, b, "order-1", 10)
			saveSnapshot(t, b, snapshotAt(events, "order-1", 2, "two"))
			first, next := newActor(t, b), anEvent(t, 11)
			appendAndSave := func() {
				_, err := first.repo.Append(b.ctx, "order-1", eventstream.Exact(10), next)
				require.NoError(t, err)
				_, err = first.repo.SaveSnapshot(b.ctx, snapshotAt(append(events, next), "order-1", 11, "eleven"))
				require.NoError(t, err)
			}
			rest := []func(){}
			if locks {
				// The second finds a row that is not changed yet, and waits for it in the statement that locks it.
				execSQL(t, b.ctx, first.tx, `SELECT FROM eventstream.snapshots FOR UPDATE`)
				rest = append(rest, appendAndSave)
			} else {
				appendAndSave()
			}
			saved, err := saveBlocked(t, b, first, true, snapshotAt(events, "order-1", 10, "ten"), rest...)
			require.NoError(t, err)
			require.False(t, saved)
			requireOnSnapshot(t, b, "order-1", 11, eventstream.SnapshotUsed)
		})
	}
}

// A snapshot that is deleted while a writer waits for it is written anew.
func TestSnapshotRaceAgainstADelete(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ locks, commit bool }{{false, true}, {false, false}, {true, true}, {true, false}} {
		b := setup(t)
		events := given(t, b, "order-1", 10)
		saveSnapshot(t, b, snapshotAt(events, "order-1", 9, "nine"))
		first := newActor(t, b)
		remove := func() { execSQL(t, b.ctx, first.tx, `DELETE FROM eventstream.snapshots`) }
		rest := []func(){}
		if c.locks {
			execSQL(t, b.ctx, first.tx, `SELECT FROM eventstream.snapshots FOR UPDATE`)
			rest = append(rest, remove)
		} else {
			remove()
		}
		saved, err := saveBlocked(t, b, first, c.commit, snapshotAt(events, "order-1", 8, "eight"), rest...)
		require.NoError(t, err)
		require.Equal(t, c.commit, saved)
		version := int64(9)
		if c.commit {
			version = 8
		}
		requireOnSnapshot(t, b, "order-1", version, eventstream.SnapshotUsed)
	}
}

// In a stricter isolation a writer whose snapshot of the database is too old is told to run again, and overwrites nothing.
func TestSnapshotRaceUnderStricterIsolation(t *testing.T) {
	t.Parallel()
	for _, isolation := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		b := setup(t)
		events := given(t, b, "order-1", 10)
		tx, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: isolation})
		require.NoError(t, err)
		require.EqualValues(t, 10, number(t, b.ctx, tx, `SELECT count(*) FROM eventstream.events`))
		saveSnapshot(t, b, snapshotAt(events, "order-1", 9, "nine"))
		_, err = b.repo.WithTx(tx).SaveSnapshot(b.ctx, snapshotAt(events, "order-1", 8, "eight"))
		requireSQLState(t, err, "40001")
		require.True(t, eventstream.SafeToRetry(err))
		require.NoError(t, tx.Rollback(b.ctx))
		requireOnSnapshot(t, b, "order-1", 9, eventstream.SnapshotUsed)
	}
}

// Writers of events and of snapshots, old and new ones in any order, and readers: no version goes back, and each reader has a state that fits.
func TestSnapshotHammer(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "order-1", 1)
	var writers, readers errgroup.Group
	var stop atomic.Bool
	var kept, loads, highest atomic.Int64
	for i := range 6 {
		writers.Go(func() error {
			for n := range 50 {
				if _, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, n)); err != nil {
					return err
				}
				stream, _, err := b.repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
				if err != nil {
					return err
				}
				tail := stream.EventsFrom(stream.BaseVersion() + 1)
				if len(tail) == 0 {
					continue
				}
				at := tail[(n*7+i)%len(tail)] // some are older than what others write meanwhile
				saved, err := b.repo.SaveSnapshot(b.ctx, eventstream.Snapshot{
					StreamID: "order-1", Kind: tallyKind, Version: at.Version, EventID: at.ID, State: []byte(strconv.FormatInt(at.Version, 10)),
				})
				if err != nil {
					return err
				}
				if saved {
					kept.Add(1)
				}
			}
			return nil
		})
	}
	for range 2 {
		readers.Go(func() error { return watchSnapshots(b.ctx, b.repo, &stop, &loads, &highest) })
	}
	require.NoError(t, writers.Wait())
	stop.Store(true)
	require.NoError(t, readers.Wait())
	t.Logf("%d snapshots kept, %d loads, the last at version %d", kept.Load(), loads.Load(), highest.Load())
	require.Greater(t, kept.Load(), int64(10))
	require.GreaterOrEqual(t, loads.Load(), int64(20))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.audit_snapshots`))
	requireAuditClean(t, b)
}

// watchSnapshots loads until it is told to stop, and returns an error for a version that goes back, or a state that is another version's.
func watchSnapshots(ctx context.Context, repo *eventstream.Repository, stop *atomic.Bool, loads, highest *atomic.Int64) error {
	for last, n := int64(0), 0; n < 10 || !stop.Load(); n++ {
		loads.Add(1)
		stream, found, err := repo.LoadOnSnapshot(ctx, "order-1", tallyKind)
		if err != nil {
			return err
		}
		if stream.BaseVersion() < last {
			return fmt.Errorf("snapshot at version %d after %d", stream.BaseVersion(), last)
		}
		last = stream.BaseVersion()
		highest.Store(last)
		if last > 0 && string(found.Snapshot.State) != strconv.FormatInt(last, 10) {
			return fmt.Errorf("state of version %s at version %d", found.Snapshot.State, last)
		}
	}
	return nil
}
