package integration_test

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/leftout"
)

// pagesTouched counts the pages that all statements on a pool touch, those inside functions included: what a clock would tell, without a clock.
type pagesTouched struct {
	*pgxpool.Pool
	pages int
}

var pagesOfPlan = regexp.MustCompile(`(?m)^ *Buffers: shared hit=(\d+)`)

// countPages is a pool of one session, which explains each of its statements.
func countPages(t testing.TB, b *bundle) *pagesTouched {
	t.Helper()
	p := &pagesTouched{}
	p.Pool = newPool(t, b.dsn, withMaxConns(1), func(c *pgxpool.Config) {
		c.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			// The first node of a plan has the pages of those below it.
			if found := pagesOfPlan.FindStringSubmatch(n.Message); found != nil {
				pages, _ := strconv.Atoi(found[1])
				p.pages += pages
			}
		}
	})
	if _, err := p.Exec(b.ctx, `LOAD 'auto_explain'`); err != nil {
		leftout.Skip(t, err)
	}
	for name, value := range map[string]string{
		"log_min_duration": "0", "log_analyze": "on", "log_buffers": "on", "log_timing": "off", "log_nested_statements": "on",
	} {
		execSQL(t, b.ctx, p, `SET auto_explain.`+name+` = '`+value+`'`)
	}
	// A plan for each set of values, or the sixth call would have another one than the fifth.
	execSQL(t, b.ctx, p, `SET plan_cache_mode = force_generic_plan`)
	execSQL(t, b.ctx, p, `SET client_min_messages = log`)
	return p
}

// touched is how many pages a call touches, once catalog and plans are in the session's memory: the fewest of some calls, since roles that other
// tests make on the server have the session look into the catalog again.
func (p *pagesTouched) touched(call func()) int {
	call()
	fewest := math.MaxInt
	for range 5 {
		p.pages = 0
		call()
		fewest = min(fewest, p.pages)
	}
	return fewest
}

// everyWriter is what a repository refuses to do with a stream of another, by each method that writes. None of them is an attempt to begin a
// stream, which says that the id is used (docs/security.md).
func everyWriter(t testing.TB, repo *eventstream.Repository) map[string]func(context.Context, eventstream.StreamID) any {
	t.Helper()
	writers := map[string]func(context.Context, eventstream.StreamID) any{
		"AppendIf": func(ctx context.Context, id eventstream.StreamID) any {
			request := eventstream.AppendRequest{StreamID: id, Expected: eventstream.Exists, Events: someEvents(t, 1)}
			_, err := repo.AppendIf(ctx, byTags("nothing"), 0, request)
			return err
		},
		"Erase": func(ctx context.Context, id eventstream.StreamID) any {
			_, err := repo.Erase(ctx, eventstream.Erasure{StreamID: id, From: 1, Reason: "r"})
			return err
		},
		"CloseStream": func(ctx context.Context, id eventstream.StreamID) any {
			_, err := repo.CloseStream(ctx, id, eventstream.Exists, "r")
			return err
		},
	}
	for _, expected := range []eventstream.Expected{eventstream.Exact(3), eventstream.Exact(7), eventstream.Exists} {
		for _, events := range []int{1, 2} {
			writers[fmt.Sprintf("Append %v %d", expected, events)] = func(ctx context.Context, id eventstream.StreamID) any {
				_, err := repo.Append(ctx, id, expected, someEvents(t, events)...)
				return err
			}
		}
	}
	return writers
}

// A stream of another tenant against one that does not exist: what is said is the same, word for word. What the server does for it, counted in
// pages, is the same for those who write, but for the row that says whose the stream is, however long that is. For those who read it is not.
func TestTenantsCannotTellAForeignStreamByWork(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	const short, long, missing = eventstream.StreamID("order-short"), eventstream.StreamID("order-long-"), eventstream.StreamID("order-never")
	for id, events := range map[eventstream.StreamID]int{short: 3, long: 900} {
		_, err := b.repo.ForTenant(rival).Append(b.ctx, id, eventstream.Empty, someEvents(t, events)...)
		require.NoError(t, err)
	}
	_, err := b.repo.ForTenant(acme).Append(b.ctx, "order-own", eventstream.Empty, someEvents(t, 900)...)
	require.NoError(t, err)
	execSQL(t, b.ctx, b.pool, `VACUUM ANALYZE eventstream.events`)
	counted := countPages(t, b)
	own := withoutGroup(t, counted.Pool).ForTenant(acme)
	calls := everyReader(own)
	for name, call := range everyWriter(t, own) {
		calls[name] = call
	}
	for name, call := range calls {
		var said [3]any
		var pages [3]int
		for i, id := range []eventstream.StreamID{missing, short, long} {
			pages[i] = counted.touched(func() { said[i] = call(b.ctx, id) })
		}
		t.Logf("%s: %d pages of a missing stream, %d of a short one, %d of a long one", name, pages[0], pages[1], pages[2])
		require.Equal(t, worded(said[0], missing, short), fmt.Sprint(said[1]), name)
		require.Equal(t, worded(said[0], missing, long), fmt.Sprint(said[2]), name)
		if !slices.Contains(readsRows, name) {
			require.Equal(t, pages[1], pages[2], name)
			require.LessOrEqual(t, pages[2], pages[0]+rowsPages, name)
		}
	}
	require.Greater(t, counted.touched(func() {
		_, err := own.Load(b.ctx, "order-own")
		require.NoError(t, err)
	}), 20, "pages are counted")
}

// rowsPages is how many pages more a stream of another tenant may take than one that does not exist: where its last event is looked up, the row is
// found, and so is the one beside it that says who waits. A statement in a function counts for that of its caller as well.
const rowsPages = 36

// readsRows are the calls that tell by their work, which docs/security.md says: row security looks at rows that an index has found by the stream's
// id, and leaves out each of them.
var readsRows = []string{
	"Load", "GetOrCreate", "LoadOnSnapshot", "Read", "Read backwards", "Fold", "Stream", "Watermark", "AdvanceWatermark",
}
