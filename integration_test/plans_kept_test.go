package integration_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What a session has written before does not make it plan anew for each append. A plan that was made for many rows is dear by the planner's
// count, which then prefers one for each statement, and that costs several times what the append does.
func TestAppendsKeepTheirPlans(t *testing.T) {
	t.Parallel()
	appendTo := func(id eventstream.StreamID, events int) func(*testing.T, *bundle) {
		return func(t *testing.T, b *bundle) {
			_, err := withoutGroup(t, b.pool).Append(b.ctx, id, eventstream.Any, someEvents(t, events)...)
			require.NoError(t, err)
		}
	}
	large := appendTo("order-1", 100)
	for name, run := range map[string]func(*testing.T, *bundle){
		"one event":  appendTo("order-1", 1),
		"ten events": appendTo("order-2", 10),
		"five streams": func(t *testing.T, b *bundle) {
			var requests []eventstream.AppendRequest
			for _, id := range []eventstream.StreamID{"many-1", "many-2", "many-3", "many-4", "many-5"} {
				requests = append(requests, eventstream.AppendRequest{StreamID: id, Expected: eventstream.Any, Events: someEvents(t, 1)})
			}
			_, err := withoutGroup(t, b.pool).AppendMany(b.ctx, requests...)
			require.NoError(t, err)
		},
		"by hand": func(t *testing.T, b *bundle) {
			execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload)
				VALUES ($1, 1, 'order.placed', 0, '{}')`, uuid.NewString())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var planned atomic.Int64
			b := setup(t, withMaxConns(1), func(c *pgxpool.Config) {
				c.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
					if strings.Contains(n.Message, "PLANNER STATISTICS") {
						planned.Add(1)
					}
				}
			})
			large(t, b)
			for range 2 {
				// All plans are made anew.
				execSQL(t, b.ctx, b.pool, `VACUUM ANALYZE eventstream.events`)
				for range 20 {
					run(t, b)
				}
				execSQL(t, b.ctx, b.pool, `SET log_planner_stats = on`)
				execSQL(t, b.ctx, b.pool, `SET client_min_messages = log`)
				anew := func() int64 { planned.Store(0); run(t, b); return planned.Load() }
				// A backend of a busy server that was overrun by word of other sessions' DDL throws all its plans away: once, not for each.
				for tries := 0; anew() > 0; tries++ {
					require.Less(t, tries, 3, "%d plans were made anew", planned.Load())
				}
				execSQL(t, b.ctx, b.pool, `VACUUM ANALYZE eventstream.events`)
				run(t, b)
				require.NotZero(t, planned.Load(), "else this test would see nothing")
				execSQL(t, b.ctx, b.pool, `RESET client_min_messages`)
				large(t, b)
			}
		})
	}
}
