package integration_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What a repository for a tenant costs the server beside one for all, as the login that owns the store and as a service's: CPU time of the
// backend, in turns, the median of many short rounds. The figures of docs/security.md:
//
//	go test ./integration_test -run '^$' -bench ForTenantCosts -benchtime 1x
func BenchmarkForTenantCosts(t *testing.B) {
	const rounds, calls = 20, 30
	b := setup(t, withMaxConns(1))
	service := plainRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT eventstream_writer, eventstream_reader, eventstream_tenant, pg_read_server_files TO `+service)
	execSQL(t, b.ctx, b.pool, `GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint) TO `+service)
	_, err := b.repo.ForTenant(acme).Append(b.ctx, "order-100", eventstream.Empty, someEvents(t, 100)...)
	require.NoError(t, err)
	_, err = b.repo.ForTenant(acme).Append(b.ctx, "order-log", eventstream.Empty, someEvents(t, 100)...)
	require.NoError(t, err)
	execSQL(t, b.ctx, b.pool, `VACUUM ANALYZE eventstream.events`)
	pools := map[string]*pgxpool.Pool{"owner": b.pool, "service": poolAs(t, b, service, withMaxConns(1))}
	operations := map[string]func(*eventstream.Repository) error{
		"load of 100 events": func(r *eventstream.Repository) error {
			_, err := r.Load(b.ctx, "order-100")
			return err
		},
		"append": func(r *eventstream.Repository) error {
			_, err := r.Append(b.ctx, "order-log", eventstream.Any, anEvent(t, 1))
			return err
		},
		"append of 10": func(r *eventstream.Repository) error {
			_, err := r.Append(b.ctx, "order-log", eventstream.Any, someEvents(t, 10)...)
			return err
		},
	}
	for name, operation := range operations {
		took := map[string][]int64{}
		for range rounds {
			for _, login := range []string{"owner", "service"} {
				for _, bound := range []bool{false, true} {
					pool := pools[login]
					repo := withoutGroup(t, pool)
					if bound {
						repo = repo.ForTenant(acme)
					}
					// Outside of what is counted: a plan that another role's session made has to be made anew.
					require.NoError(t, operation(repo))
					before := backendTime(t, b, pool)
					for range calls {
						require.NoError(t, operation(repo))
					}
					key := fmt.Sprintf("%s, bound=%v", login, bound)
					took[key] = append(took[key], (backendTime(t, b, pool)-before)/calls/1000)
				}
			}
		}
		for _, login := range []string{"owner", "service"} {
			all, bound := median(took[login+", bound=false"]), median(took[login+", bound=true"])
			t.Logf("%s, %s: for all tenants %d us, for one %d us: %+.1f %%", name, login, all, bound, 100*(float64(bound)/float64(all)-1))
		}
	}
}

// backendTime is the CPU time of the one backend of a pool, in nanoseconds.
func backendTime(t testing.TB, b *bundle, pool querier) int64 {
	t.Helper()
	var text string
	require.NoError(t, pool.QueryRow(b.ctx, `SELECT pg_catalog.pg_read_file('/proc/self/schedstat', 0, 100)`).Scan(&text))
	n, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
	require.NoError(t, err)
	return n
}

func median(values []int64) int64 {
	slices.Sort(values)
	return values[len(values)/2]
}
