package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/leftout"
)

// The stable position: readers of the log wait for the writers of events that are not over, and for nobody else.

// placesOf names events as "stream version".
func placesOf(events []eventstream.LogEvent) []string {
	places := make([]string, len(events))
	for i, e := range events {
		places[i] = fmt.Sprintf("%s %d", e.StreamID, e.Version)
	}
	return places
}

// requireLog demands that readers of the log see these events, in this order, whichever way they read, numbered without a hole.
func requireLog(t *testing.T, b *bundle, places ...string) {
	t.Helper()
	for _, repo := range []*eventstream.Repository{b.repo, pagedRepo(t, b.pool)} {
		events := readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{}))
		require.Equal(t, append([]string{}, places...), placesOf(events))
		for i, e := range events {
			require.Equal(t, int64(i+1), e.Sequence, "position %d", e.Position)
		}
		down := readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Backwards: true}))
		slices.Reverse(down)
		require.Equal(t, events, down)
	}
	head, err := b.repo.LogHead(b.ctx)
	require.NoError(t, err)
	require.Equal(t, int64(len(places)), head.Sequence)
}

// heldWrites are the ways to write an event and not to be over yet.
var heldWrites = map[string]func(ctx context.Context, a *actor, id eventstream.StreamID, e eventstream.Event) error{
	"Append": func(ctx context.Context, a *actor, id eventstream.StreamID, e eventstream.Event) error {
		_, err := a.repo.Append(ctx, id, eventstream.Empty, e)
		return err
	},
	"Ingest": func(ctx context.Context, a *actor, id eventstream.StreamID, e eventstream.Event) error {
		e.Version = 1
		_, err := a.repo.Ingest(ctx, id, e)
		return err
	},
	"Insert": func(ctx context.Context, a *actor, id eventstream.StreamID, _ eventstream.Event) error {
		_, err := a.tx.Exec(ctx, rawInsert, id, 1)
		return err
	},
	"Copy": func(ctx context.Context, a *actor, id eventstream.StreamID, _ eventstream.Event) error {
		return rowWays["binary copy"](ctx, a.conn, rows(attackRow{stream: string(id), version: 1, tenant: "default", partition: 3}))
	},
	"TextCopy": func(ctx context.Context, a *actor, id eventstream.StreamID, _ eventstream.Event) error {
		return rowWays["text copy"](ctx, a.conn, rows(attackRow{stream: string(id), version: 1, tenant: "default", partition: 3}))
	},
	"InAReleasedSavepoint": func(ctx context.Context, a *actor, id eventstream.StreamID, _ eventstream.Event) error {
		inner, err := a.tx.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := inner.Exec(ctx, rawInsert, id, 1); err != nil {
			return err
		}
		return inner.Commit(ctx)
	},
	"AfterAFailedSavepoint": func(ctx context.Context, a *actor, id eventstream.StreamID, e eventstream.Event) error {
		inner, err := a.tx.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := inner.Exec(ctx, rawInsert, "gone-1", 1); err != nil {
			return err
		}
		if err := inner.Rollback(ctx); err != nil {
			return err
		}
		_, err = a.repo.Append(ctx, id, eventstream.Empty, e)
		return err
	},
	// The lock that counts is that of the transaction's first event.
	"BeforeAFailedSavepoint": func(ctx context.Context, a *actor, id eventstream.StreamID, e eventstream.Event) error {
		if _, err := a.repo.Append(ctx, id, eventstream.Empty, e); err != nil {
			return err
		}
		inner, err := a.tx.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := inner.Exec(ctx, rawInsert, id, 2); err != nil {
			return err
		}
		return inner.Rollback(ctx)
	},
}

// heldEnds are the ways in which a writer ends, and whether its event is there afterwards. While it has not ended, nobody sees more than
// before says.
var heldEnds = []struct {
	name    string
	commits bool
	end     func(t *testing.T, b *bundle, a *actor, before []string)
}{
	{"commits", true, func(t *testing.T, b *bundle, a *actor, _ []string) { a.end(t, b, true) }},
	{"rolls back", false, func(t *testing.T, b *bundle, a *actor, _ []string) { a.end(t, b, false) }},
	{"is killed", false, func(t *testing.T, b *bundle, a *actor, _ []string) { terminate(t, b, a.pid()) }},
	{"prepares, commits", true, func(t *testing.T, b *bundle, a *actor, before []string) {
		name := prepare(t, b, a)
		// Its session is over, the transaction is not.
		terminate(t, b, a.pid())
		requireLog(t, b, before...)
		execSQL(t, b.ctx, b.pool, `COMMIT PREPARED '`+name+`'`)
	}},
	{"prepares, rolls back", false, func(t *testing.T, b *bundle, a *actor, before []string) {
		name := prepare(t, b, a)
		requireLog(t, b, before...)
		execSQL(t, b.ctx, b.pool, `ROLLBACK PREPARED '`+name+`'`)
	}},
}

// terminate ends a backend, and returns when it is gone with all that it held.
func terminate(t testing.TB, b *bundle, pid uint32) {
	t.Helper()
	var gone bool
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT pg_terminate_backend($1, 30000)`, int32(pid)).Scan(&gone))
	require.True(t, gone)
}

// prepare leaves the actor's transaction behind as a prepared one, under a name of the test's own.
func prepare(t testing.TB, b *bundle, a *actor) string {
	t.Helper()
	name := fmt.Sprintf("%s %d", databaseOf(b), a.pid())
	_, err := a.conn.Exec(b.ctx, `PREPARE TRANSACTION '`+name+`'`)
	require.NoError(t, err)
	return name
}

// Writer A takes its number and waits, B commits a higher one: the reader sees neither until A ends, then both, in order; or B alone, if
// A has come to nothing. Whichever way A writes and ends.
func TestStableReadersWaitForAnOpenWriter(t *testing.T) {
	t.Parallel()
	for name, write := range heldWrites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "first-1", 1)
			want := []string{"first-1 1"}
			for n, end := range heldEnds {
				t.Run(end.name, func(t *testing.T) {
					if strings.HasPrefix(end.name, "prepares") && number(t, b.ctx, b.pool, `SELECT current_setting('max_prepared_transactions')::bigint`) == 0 {
						leftout.Skip(t, errors.New("max_prepared_transactions is 0 on this server: set it to 100"))
					}
					held, later := fmt.Sprintf("held-%d", n), fmt.Sprintf("later-%d", n)
					a := newActor(t, b)
					require.NoError(t, write(b.ctx, a, eventstream.StreamID(held), anEvent(t, 1)))
					given(t, b, eventstream.StreamID(later), 2)
					requireLog(t, b, want...)
					require.Less(t, number(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position()`), drawn(t, b)-2)
					requireLog(t, b, want...)

					end.end(t, b, a, want)
					if end.commits {
						want = append(want, held+" 1")
					}
					want = append(want, later+" 1", later+" 2")
					requireLog(t, b, want...)
					require.Equal(t, drawn(t, b), number(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position()`))
					requireLog(t, b, want...)
				})
			}
			requireAuditClean(t, b)
		})
	}
}

// A savepoint that is rolled back takes its lock along: its transaction goes on, and nobody waits for it until it writes again.
func TestStableARolledBackSavepointHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := newActor(t, b)
	inner, err := a.tx.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, inner, rawInsert, "gone-1", 1)
	given(t, b, "first-1", 1)
	requireLog(t, b, nil...)
	require.NoError(t, inner.Rollback(b.ctx))
	requireLog(t, b, "first-1 1")

	execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
	given(t, b, "second-1", 1)
	requireLog(t, b, "first-1 1")
	a.end(t, b, true)
	requireLog(t, b, "first-1 1", "held-1 1", "second-1 1")
	requireAuditClean(t, b)
}

// Several writers at once: the oldest that is not over decides.
func TestStableTheOldestWriterDecides(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all []*actor
	var places []string
	for i := range 4 {
		a := newActor(t, b)
		execSQL(t, b.ctx, a.tx, rawInsert, fmt.Sprintf("held-%d", i), 1)
		all = append(all, a)
		places = append(places, fmt.Sprintf("held-%d 1", i))
	}
	// A second event of the first writer changes nothing: its lock is that of its first one.
	execSQL(t, b.ctx, all[0].tx, rawInsert, "held-0", 2)
	all[2].end(t, b, true)
	all[1].end(t, b, true)
	requireLog(t, b, nil...)
	all[0].end(t, b, true)
	requireLog(t, b, places[:3]...)
	all[3].end(t, b, true)
	requireLog(t, b, append(places, "held-0 2")...)
	requireAuditClean(t, b)
}

// Strangers hold nobody back: a transaction with a transaction id of its own, a snapshot, and locks that look similar, here and in
// another database.
func TestStableStrangersHoldNobodyBack(t *testing.T) {
	t.Parallel()
	b, elsewhere := setup(t), setup(t)
	stranger := newActor(t, b)
	execSQL(t, b.ctx, stranger.tx, `CREATE TABLE public.busy ()`)
	execSQL(t, b.ctx, stranger.tx, `SELECT pg_current_xact_id(), pg_advisory_lock(1), pg_advisory_lock(17747, 0)`)
	execSQL(t, b.ctx, stranger.tx, `SELECT pg_advisory_lock(17747 << 16, 0), pg_advisory_lock(0)`)
	old, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	execSQL(t, b.ctx, old, `SELECT count(*) FROM eventstream.events`)
	other := newActor(t, elsewhere)
	execSQL(t, b.ctx, other.tx, rawInsert, "held-1", 1)

	for n := range 3 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("order-%d", n)), 1)
		require.Equal(t, drawn(t, b), number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`))
	}
	requireLog(t, b, "order-0 1", "order-1 1", "order-2 1")
	require.NoError(t, old.Rollback(b.ctx))
}

// An empty store: nothing is stable, and nothing is there.
func TestStableAnEmptyStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	requireLog(t, b, nil...)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position()`))
	requireAuditClean(t, b)
}
