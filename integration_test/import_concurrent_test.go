package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// An append to a stream of the chunk is not committed yet. The import waits; if the append stands, its events without versions follow it,
// and one that claims its version is refused; if the append is undone, it is as if it never was.
func TestImportWaitsForAnAppend(t *testing.T) {
	t.Parallel()
	for _, existing := range []bool{false, true} {
		for _, numbered := range []bool{false, true} {
			for _, commits := range []bool{false, true} {
				t.Run(fmt.Sprintf("Existing=%t/Numbered=%t/Commits=%t", existing, numbered, commits), func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					var had []eventstream.Event
					if existing {
						had = given(t, b, "order-1", 2)
					}
					source := of("order-1", someEvents(t, 3)...)
					for i := range source {
						if numbered {
							source[i].Version = int64(len(had) + i + 1)
						}
					}
					importer, other := session(t, b), session(t, b)
					// Import has its own level: at this one a chunk that waited would fail, and start again.
					_, err := importer.Exec(b.ctx, `SET default_transaction_isolation = 'repeatable read'`)
					require.NoError(t, err)
					tx, err := other.Begin(b.ctx)
					require.NoError(t, err)
					appended := anEvent(t, 9)
					_, err = repoOn(t, tx).Append(b.ctx, "order-1", eventstream.Any, appended)
					require.NoError(t, err)
					repo, position := repoOn(t, importer), drawn(t, b)
					done := start(func() (eventstream.ImportResult, error) { return repo.Import(b.ctx, sourceOf(source...)) })
					waitBlocked(t, b, importer.PgConn().PID(), other.PgConn().PID())
					require.Equal(t, position, drawn(t, b), "it waits for the stream's lock, before it draws a position")
					if !commits {
						require.NoError(t, tx.Rollback(b.ctx))
						require.NoError(t, (<-done).err)
						requireHolds(t, b, "order-1", append(had, source...)...)
						requireAuditClean(t, b)
						return
					}
					require.NoError(t, tx.Commit(b.ctx))
					got, want := <-done, append(had, appended)
					if numbered {
						var conflict *eventstream.IngestConflictError
						require.ErrorAs(t, got.err, &conflict)
						require.Equal(t, eventstream.IngestConflictError{
							StreamID: "order-1", Version: int64(len(want)), EventID: source[0].ID, OtherEventID: appended.ID, Place: "events",
						}, *conflict)
					} else {
						require.NoError(t, got.err)
						want = append(want, source...)
					}
					requireHolds(t, b, "order-1", want...)
					requireAuditClean(t, b)
				})
			}
		}
	}
}

// An import locks its streams in one order, but transactions that append to several streams take them in any, so two writers may wait for
// each other. The import gives way, and starts the chunk again.
func TestImportSurvivesADeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, importer, other := session(t, b), session(t, b), session(t, b)
	begin := func(conn *pgx.Conn, id eventstream.StreamID) pgx.Tx {
		tx, err := conn.Begin(b.ctx)
		require.NoError(t, err)
		_, err = repoOn(t, tx).Append(b.ctx, id, eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
		return tx
	}
	_, err := importer.Exec(b.ctx, `SET deadlock_timeout = '10ms'`)
	require.NoError(t, err)
	_, err = other.Exec(b.ctx, `SET deadlock_timeout = '1h'`)
	require.NoError(t, err)

	// The import holds the first in order of the lock's key and waits at the second; the other one holds the third and waits at the first; then
	// the import comes to the third.
	var ids []eventstream.StreamID
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT array_agg(s ORDER BY eventstream.stream_key(s))
		FROM unnest(ARRAY['new-1', 'new-2', 'new-3']) AS s`).Scan(&ids))
	atSecond, atThird := begin(first, ids[1]), begin(other, ids[2])
	source := append(append(of(ids[0], anEvent(t, 1)), of(ids[1], anEvent(t, 1))...), of(ids[2], anEvent(t, 1))...)
	repo := repoOn(t, importer)
	done := start(func() (eventstream.ImportResult, error) { return repo.Import(b.ctx, sourceOf(source...)) })
	waitBlocked(t, b, importer.PgConn().PID(), first.PgConn().PID())
	appended := start(func() (eventstream.AppendResult, error) {
		return repoOn(t, atThird).Append(b.ctx, ids[0], eventstream.Any, anEvent(t, 2))
	})
	waitBlocked(t, b, other.PgConn().PID(), importer.PgConn().PID())
	require.NoError(t, atSecond.Rollback(b.ctx))
	require.NoError(t, (<-appended).err, "the import is the one that gives way")
	require.NoError(t, atThird.Commit(b.ctx))
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, eventstream.ImportResult{Imported: 3, LastPosition: lastPosition(t, b)}, got.value)
	require.Equal(t, int64(5), eventsIn(t, b))
	requireAuditClean(t, b)
}

// rawInsertOf writes an event as it is, by plain SQL; rawColumns are its arguments.
const rawInsertOf = `INSERT INTO eventstream.events (stream_id, version, event_id, partition_id, type, payload)
	VALUES ($1::text, $2, $3, eventstream.partition_of($1::text, 32), $4, $5)`

func rawColumns(e eventstream.Event) []any {
	return []any{e.StreamID, e.Version, e.ID, string(e.Type), string(e.Payload)}
}

// beforeLookup calls a function once, when an import has locked the streams of its chunk and is about to look for the chunk's events.
type beforeLookup struct{ call func() }

func (h *beforeLookup) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if call := h.call; call != nil && strings.Contains(data.SQL, "name: EventPlaceMany") {
		h.call = nil
		call()
	}
	return ctx
}

func (h *beforeLookup) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Raw INSERTs, which take no lock, bring what is imported: one stream while the copy waits for it, and the next one between the two look-ups
// of the second try. What it brought is skipped, and not taken for a contradiction.
func TestImportLooksAgainIfAStreamAppearsMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := of("new-1", at(1, anEvent(t, 1))), of("new-2", at(1, anEvent(t, 2)))
	hook := &beforeLookup{call: func() {
		execSQL(t, b.ctx, b.pool, rawInsertOf, rawColumns(second[0])...)
	}}
	config := b.pool.Config().ConnConfig
	config.Tracer = hook
	importer, err := pgx.ConnectConfig(b.ctx, config)
	require.NoError(t, err)
	defer importer.Close(context.Background())
	other := session(t, b)
	tx, err := other.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, tx, rawInsertOf, rawColumns(first[0])...)
	repo := repoOn(t, importer)
	done := start(func() (eventstream.ImportResult, error) {
		return repo.Import(b.ctx, sourceOf(append(first, second...)...))
	})
	waitBlocked(t, b, importer.PgConn().PID(), other.PgConn().PID())
	require.NoError(t, tx.Commit(b.ctx))
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, eventstream.ImportResult{Skipped: 2}, got.value)
	require.Nil(t, hook.call, "there was a second try")
	requireAuditClean(t, b)
}

// Several imports of one source at once: they take turns, each ends without an error, and each event is there once.
func TestImportOfOneSourceSeveralTimesAtOnce(t *testing.T) {
	t.Parallel()
	for _, numbered := range []bool{false, true} {
		t.Run(fmt.Sprintf("Numbered=%t", numbered), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			h := history{events: 2*eventstream.MaxImportEvents + 100, perStream: 1500, numbered: numbered}
			var imported, skipped atomic.Int64
			group, ctx := errgroup.WithContext(b.ctx)
			for range 3 {
				group.Go(func() error {
					result, err := b.repo.Import(ctx, h.all())
					imported.Add(result.Imported)
					skipped.Add(result.Skipped)
					return err
				})
			}
			require.NoError(t, group.Wait())
			require.Equal(t, []int64{int64(h.events), int64(2 * h.events)}, []int64{imported.Load(), skipped.Load()})
			requireHistory(t, b, h)
		})
	}
}

// Imports of two sources that share streams, in opposite orders, among appends to the same streams: nothing is lost, doubled or out of
// order.
func TestHammerImportAmongAppends(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const sources, rounds, streams = 3, 40, 12
	var appended atomic.Int64
	group, ctx := errgroup.WithContext(b.ctx)
	all := make([][]eventstream.Event, sources)
	for s := range sources {
		for n := range rounds * streams {
			id := eventstream.StreamID(fmt.Sprintf("shared-%d-%d", n/streams, (n*(2*(s%2)+5*(s+1)))%streams))
			all[s] = append(all[s], of(id, anEvent(t, n))...)
		}
		group.Go(func() error {
			for end := streams; end <= len(all[s]); end += streams {
				// What was imported before is given again, as a resume does.
				if _, err := b.repo.Import(ctx, sourceOf(all[s][max(0, end-2*streams):end]...)); err != nil {
					return fmt.Errorf("source %d, up to %d: %w", s, end, err)
				}
			}
			return nil
		})
	}
	for range 2 {
		group.Go(func() error {
			for n := range rounds * streams {
				id := eventstream.StreamID(fmt.Sprintf("shared-%d-%d", n/streams, n%streams))
				_, err := b.repo.Append(ctx, id, eventstream.Any, anEvent(t, n))
				if err == nil {
					appended.Add(1)
				} else if !errors.Is(err, eventstream.ErrVersionConflict) && !eventstream.SafeToRetry(err) {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, int64(sources*rounds*streams)+appended.Load(), eventsIn(t, b))
	require.Positive(t, appended.Load())
	for _, source := range all {
		for _, e := range source {
			require.Equal(t, int64(1), number(t, b.ctx, b.pool,
				`SELECT count(*) FROM eventstream.events WHERE event_id = $1 AND stream_id = $2`, e.ID, e.StreamID))
		}
	}
	requireAuditClean(t, b)
}
