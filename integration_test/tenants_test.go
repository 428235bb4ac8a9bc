package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What a repository for a tenant says of a stream of another is, word for word, what it says of one that does not exist: by each
// kind of login, in a transaction and outside.
func TestForTenantAStreamOfAnotherDoesNotExist(t *testing.T) {
	t.Parallel()
	for name, repo := range tenantRepos(t, setup(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own, id := repo.ForTenant(acme), func(s string) eventstream.StreamID {
				return eventstream.StreamID(fmt.Sprintf("%s-%s", s, uuid.NewString()))
			}
			foreign, missing := id("order"), id("order")
			theirs, err := repo.ForTenant(rival).Append(t.Context(), foreign, eventstream.Empty, someEvents(t, 3)...)
			require.NoError(t, err)
			for call, of := range everyReader(own) {
				got, want := of(t.Context(), foreign), of(t.Context(), missing)
				require.Equal(t, worded(want, missing, foreign), fmt.Sprint(got), call)
			}
			for _, expected := range []eventstream.Expected{eventstream.Exact(3), eventstream.Exact(7), eventstream.Exists} {
				for _, events := range []int{1, 2} {
					_, got := own.Append(t.Context(), foreign, expected, someEvents(t, events)...)
					_, want := own.Append(t.Context(), missing, expected, someEvents(t, events)...)
					require.Error(t, want)
					require.Equal(t, worded(want.Error(), missing, foreign), got.Error(), "%v", expected)
				}
			}
			for _, expected := range []eventstream.Expected{eventstream.Any, eventstream.Empty, eventstream.Exact(0)} {
				for _, events := range []int{1, 2} {
					_, err := own.Append(t.Context(), foreign, expected, someEvents(t, events)...)
					require.Equal(t, &eventstream.TenantMismatchError{StreamID: foreign, EventTenant: acme}, errorAs[*eventstream.TenantMismatchError](t, err))
					require.NotContains(t, err.Error(), string(rival))
				}
			}
			head, err := repo.ForTenant(rival).Stream(t.Context(), foreign)
			require.NoError(t, err)
			require.Equal(t, []int64{3, theirs.LastPosition}, []int64{head.CurrentVersion, head.LastPosition}, "nothing was written")
		})
	}
}

func errorAs[E error](t testing.TB, err error) (target E) {
	t.Helper()
	require.ErrorAs(t, err, &target)
	return target
}

// worded is what is said of one stream, said of another.
func worded(said any, of, instead eventstream.StreamID) string {
	return strings.ReplaceAll(fmt.Sprint(said), string(of), string(instead))
}

// everyReader is what a repository says of a stream, by each method that reads.
func everyReader(repo *eventstream.Repository) map[string]func(context.Context, eventstream.StreamID) any {
	all := func(events []eventstream.Event, err error) any { return fmt.Sprint(len(events), err) }
	return map[string]func(context.Context, eventstream.StreamID) any{
		"Load": func(ctx context.Context, id eventstream.StreamID) any {
			stream, err := repo.Load(ctx, id)
			return fmt.Sprint(stream, err)
		},
		"Read": func(ctx context.Context, id eventstream.StreamID) any {
			var events []eventstream.Event
			for e, err := range repo.Read(ctx, id, eventstream.ReadOptions{}) {
				if err != nil {
					return all(events, err)
				}
				events = append(events, e)
			}
			return all(events, nil)
		},
		"Read backwards": func(ctx context.Context, id eventstream.StreamID) any {
			for _, err := range repo.Read(ctx, id, eventstream.ReadOptions{Backwards: true}) {
				return fmt.Sprint(err)
			}
			return nil
		},
		"Fold": func(ctx context.Context, id eventstream.StreamID) any {
			folded := 0
			err := repo.Fold(ctx, id, 1, func(eventstream.Event) error { folded++; return nil })
			return fmt.Sprint(folded, err)
		},
		"Stream": func(ctx context.Context, id eventstream.StreamID) any {
			head, err := repo.Stream(ctx, id)
			return fmt.Sprint(head, err)
		},
		"Watermark": func(ctx context.Context, id eventstream.StreamID) any {
			watermark, err := repo.Watermark(ctx, id)
			return fmt.Sprint(watermark, err)
		},
		"AdvanceWatermark": func(ctx context.Context, id eventstream.StreamID) any {
			watermark, err := repo.AdvanceWatermark(ctx, id)
			return fmt.Sprint(watermark, err)
		},
		"LoadOnSnapshot": func(ctx context.Context, id eventstream.StreamID) any {
			stream, found, err := repo.LoadOnSnapshot(ctx, id, tallyKind)
			return fmt.Sprint(stream, found, err)
		},
		"SaveSnapshot": func(ctx context.Context, id eventstream.StreamID) any {
			saved, err := repo.SaveSnapshot(ctx, eventstream.Snapshot{StreamID: id, Kind: tallyKind, Version: 1, EventID: uuid.UUID{1}})
			return fmt.Sprint(saved, err)
		},
		"GetOrCreate": func(ctx context.Context, id eventstream.StreamID) any {
			stream, err := repo.GetOrCreate(ctx, id)
			return fmt.Sprint(stream.CurrentVersion(), stream.TenantID(), err)
		},
	}
}

// Each reader of many streams gives those of the tenant, all of them and no other.
func TestForTenantReadersSeeTheTenantsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const streams, events = 7, 9
	var theirs []uuid.UUID
	for i := range streams {
		for _, tenant := range []eventstream.TenantID{rival, acme} {
			given := someEvents(t, events)
			_, err := b.repo.ForTenant(tenant).Append(b.ctx, eventstream.StreamID(fmt.Sprintf("order-%s-%d", tenant, i)), eventstream.Empty, given...)
			require.NoError(t, err)
			if tenant == rival {
				theirs = append(theirs, idsOf(given)...)
			}
		}
	}
	for name, repo := range tenantRepos(t, b) {
		t.Run(name, func(t *testing.T) {
			own := repo.ForTenant(acme)
			for options, opts := range map[string]eventstream.LogOptions{
				"upwards": {}, "backwards": {Backwards: true}, "of a type": {Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.placed"}}},
				"of the category": {Filter: eventstream.LogFilter{Category: "order"}}, "from a position": {From: eventstream.FromPosition(1)},
				"of all partitions": {Filter: eventstream.LogFilter{Partitions: partitionsTo(32)}},
			} {
				count := 0
				for e, err := range own.ReadLog(b.ctx, opts) {
					require.NoError(t, err, options)
					require.Equal(t, acme, e.TenantID, options)
					require.Zero(t, e.Sequence+e.PartitionSequence, "numbers count what others have")
					count++
				}
				require.Equal(t, streams*events, count, options)
			}
			listed := 0
			for head, err := range own.Streams(b.ctx, eventstream.StreamFilter{}) {
				require.NoError(t, err)
				require.Equal(t, acme, head.TenantID)
				listed++
			}
			counted, err := own.CountStreams(b.ctx, eventstream.StreamFilter{})
			require.NoError(t, err)
			require.Equal(t, []int64{streams, streams}, []int64{int64(listed), counted})
			for _, id := range theirs {
				_, err := own.Event(b.ctx, id)
				require.ErrorIs(t, err, eventstream.ErrEventNotFound)
			}
		})
	}
}

func partitionsTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// A loop that follows the log goes on behind its last event, though others append in between.
func TestForTenantFollowsTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := repoOn(t, poolAs(t, b, tenantLogin(t, b, acme))).ForTenant(acme)
	var last eventstream.LogEvent
	for n := range 5 {
		for _, tenant := range []eventstream.TenantID{rival, acme, rival} {
			_, err := b.repo.ForTenant(tenant).Append(b.ctx, eventstream.StreamID("order-"+tenant), eventstream.Any, anEvent(t, n))
			require.NoError(t, err)
		}
		opts := eventstream.LogOptions{}
		if n > 0 {
			opts.From = eventstream.After(last)
		}
		cursor, err := own.OpenLog(b.ctx, opts)
		require.NoError(t, err)
		events, atEnd, err := cursor.Next(b.ctx, 0)
		require.NoError(t, err)
		require.True(t, atEnd)
		require.Len(t, events, 1)
		last = events[0]
		require.Equal(t, []any{acme, int64(n + 1)}, []any{last.TenantID, last.Version})
		cursor.Close()
	}
	_, err := own.OpenLog(b.ctx, eventstream.LogOptions{From: eventstream.FromTime(last.RecordedAt)})
	require.NoError(t, err)
	for _, from := range []eventstream.Start{eventstream.FromSequence(1), eventstream.FromPartitionSequences(map[int]int64{0: 1})} {
		_, err := own.OpenLog(b.ctx, eventstream.LogOptions{From: from})
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
	head, err := own.LogHead(b.ctx)
	require.NoError(t, err)
	require.Zero(t, head.Sequence)
	require.GreaterOrEqual(t, head.Position, last.Position)
}

// An event without a tenant gets the repository's; that of another is refused before anything is sent.
func TestForTenantEventsAreTheTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := b.repo.ForTenant(acme)
	_, err := own.Append(b.ctx, "order-1", eventstream.Empty, anEvent(t, 1), anEvent(t, 2, eventstream.WithTenant(acme)))
	require.NoError(t, err)
	_, err = own.Ingest(b.ctx, "order-2", numbered(t, 2)...)
	require.NoError(t, err)
	stream, err := own.GetOrCreate(b.ctx, "order-3")
	require.NoError(t, err)
	_, err = stream.AppendEvent(anEvent(t, 1))
	require.NoError(t, err)
	_, err = own.Save(b.ctx, stream)
	require.NoError(t, err)
	_, err = own.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "order-5", Expected: eventstream.Empty, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "order-4", Expected: eventstream.Empty, Events: someEvents(t, 2)})
	require.NoError(t, err)
	require.EqualValues(t, 8, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE tenant_id = 'acme'`))
	require.EqualValues(t, 8, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))

	same := untouched(t, b)
	other := anEvent(t, 3, eventstream.WithTenant(rival))
	_, err = own.Append(b.ctx, "order-1", eventstream.Any, other)
	require.Equal(t, &eventstream.TenantMismatchError{StreamID: "order-1", StreamTenant: acme, EventTenant: rival}, err)
	_, err = own.AppendMany(b.ctx, eventstream.AppendRequest{StreamID: "order-9", Expected: eventstream.Any, Events: []eventstream.Event{other}})
	require.ErrorIs(t, err, eventstream.ErrTenantMismatch)
	other.Version = 1
	_, err = own.Ingest(b.ctx, "order-9", other)
	require.ErrorIs(t, err, eventstream.ErrTenantMismatch)
	_, err = own.Import(b.ctx, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	for _, filter := range []eventstream.LogFilter{{Tenant: rival}} {
		_, err := own.OpenLog(b.ctx, eventstream.LogOptions{Filter: filter})
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
	_, err = own.CountStreams(b.ctx, eventstream.StreamFilter{Tenant: rival})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	same()
}

// A repository of a tenant stays that, and one of a bad id refuses everything.
func TestForTenantStaysThat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, repo := range map[string]*eventstream.Repository{
		"another":     b.repo.ForTenant(acme).ForTenant(rival),
		"none":        b.repo.ForTenant(""),
		"a bad one":   b.repo.ForTenant("a b"),
		"nil tx":      b.repo.ForTenant(acme).WithTx(nil),
		"nil tx, too": b.repo.WithTx(nil).ForTenant(acme),
	} {
		_, err := repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		_, err = repo.Load(b.ctx, "order-1")
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		_, err = repo.LogHead(b.ctx)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
	}
	_, err := b.repo.ForTenant(acme).ForTenant(acme).Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))
	require.NoError(t, err)
}

// What a login may not do in the database, the repository cannot either: a tenant that is not its own.
func TestForTenantOfALoginThatIsBoundToAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.repo.ForTenant(rival).Append(b.ctx, "order-1", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	forged := repoOn(t, poolAs(t, b, tenantLogin(t, b, acme))).ForTenant(rival)
	_, err = forged.Load(b.ctx, "order-1")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	_, err = forged.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 2))
	requireSQLState(t, err, denied)
	_, err = repoOn(t, poolAs(t, b, plainRole(t, b))).ForTenant(rival).Load(b.ctx, "order-1")
	requireSQLState(t, err, denied)
}

// In a transaction of the caller, the tenant is that of the repository's statements alone: what the caller does in between is done by
// the rights of its own login, with its own settings, and what fails leaves nothing set.
func TestForTenantInATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	login := plainRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT eventstream_tenant, eventstream_reader, eventstream_writer TO `+login)
	execSQL(t, b.ctx, b.pool, `GRANT eventstream_subscriber TO `+login)
	_, err := b.repo.ForTenant(rival).Append(b.ctx, "order-2", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	pool := poolAs(t, b, login)
	repo := repoOn(t, pool)
	who := func(tx pgx.Tx) (role, tenant string) {
		require.NoError(t, tx.QueryRow(b.ctx,
			`SELECT current_setting('role'), coalesce(current_setting('eventstream.tenant_id', true), '')`).Scan(&role, &tenant))
		return role, tenant
	}
	for _, before := range []struct{ role, tenant string }{{"none", ""}, {"eventstream_subscriber", "mine"}} {
		for name, bound := range map[string]func(pgx.Tx) *eventstream.Repository{
			"the transaction first": func(tx pgx.Tx) *eventstream.Repository { return repo.WithTx(tx).ForTenant(acme) },
			"the tenant first":      func(tx pgx.Tx) *eventstream.Repository { return repo.ForTenant(acme).WithTx(tx) },
		} {
			rolledBack := errors.New("rolled back")
			err := pgx.BeginFunc(b.ctx, pool, func(tx pgx.Tx) error {
				execSQL(t, b.ctx, tx, `SELECT set_config('role', '`+before.role+`', true), set_config('eventstream.tenant_id', '`+before.tenant+`', true)`)
				unchanged := func() {
					role, tenant := who(tx)
					require.Equal(t, before, struct{ role, tenant string }{role, tenant}, name)
				}
				own := bound(tx)
				_, err := own.Append(b.ctx, "order-1", eventstream.Empty, someEvents(t, 3)...)
				require.NoError(t, err)
				unchanged()
				_, err = own.Load(b.ctx, "order-2")
				require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
				unchanged()
				for range own.Read(b.ctx, "order-1", eventstream.ReadOptions{}) {
					unchanged()
				}
				stream, err := own.Load(b.ctx, "order-1")
				require.NoError(t, err)
				require.Equal(t, 3, stream.EventCount())
				// An error that ends the savepoint takes back what was set in it.
				err = pgx.BeginFunc(b.ctx, tx, func(savepoint pgx.Tx) error {
					event := anEvent(t, 1)
					event.ID = firstOf(t, stream).ID
					_, err := bound(savepoint).Append(b.ctx, "order-3", eventstream.Any, event)
					return err
				})
				require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
				unchanged()
				return rolledBack
			})
			require.ErrorIs(t, err, rolledBack)
		}
	}
}

func firstOf(t testing.TB, stream *eventstream.EventStream) eventstream.Event {
	t.Helper()
	events := stream.EventsFrom(1)
	require.NotEmpty(t, events)
	return events[0]
}

// On a pool nothing of a tenant is left on the connection, not after an error either.
func TestForTenantLeavesNothingOnAConnection(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(1))
	own := b.repo.ForTenant(acme)
	clean := func() {
		var role, tenant string
		require.NoError(t, b.pool.QueryRow(b.ctx,
			`SELECT current_setting('role'), coalesce(current_setting('eventstream.tenant_id', true), '')`).Scan(&role, &tenant))
		require.Equal(t, []string{"none", ""}, []string{role, tenant})
	}
	event := anEvent(t, 1)
	for range 2 {
		_, err := own.Append(b.ctx, "order-1", eventstream.Empty, event)
		require.NoError(t, err)
		clean()
	}
	_, err := own.Append(b.ctx, "order-2", eventstream.Any, event)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	clean()
	_, err = own.Load(b.ctx, "order-1")
	require.NoError(t, err)
	clean()
	for range own.Read(b.ctx, "order-1", eventstream.ReadOptions{}) {
		break
	}
	clean()
	canceled, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err = own.Load(canceled, "order-1")
	require.ErrorIs(t, err, context.Canceled)
	clean()
}
