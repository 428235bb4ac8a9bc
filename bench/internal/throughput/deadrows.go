package throughput

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
)

// storageCallers append at the same time.
const storageCallers = 16

// measureDeadRows counts what a number of appends leave behind in the tables of Gapless, contended and not. Nothing cleans up in between.
func (b *benchmark) measureDeadRows(ctx context.Context) error {
	if !b.wants(deadRowsName) {
		return nil
	}
	t := report.Table{
		Title:   fmt.Sprintf("Rows after %d appends of one event by %d callers, without VACUUM", b.sizes.appends, storageCallers),
		Columns: []string{"case", "table", "inserted", "updated", "deleted", "dead", "bytes per event"},
	}
	for _, c := range cases() {
		if c.name != "append1-new" && c.name != "append1-existing" && c.name != "hot-any" && c.name != "hot-exact" {
			continue
		}
		if err := b.countDeadRows(ctx, c, &t); err != nil {
			return fmt.Errorf("%s of %s: %w", deadRowsName, c.name, err)
		}
		fmt.Fprintf(b.log, "%s: %d appends of %s\n", deadRowsName, b.sizes.appends, c.name)
	}
	b.tables = append(b.tables, t)
	return nil
}

// countDeadRows lets the callers of a case append in a database of their own.
func (b *benchmark) countDeadRows(ctx context.Context, c testCase, t *report.Table) (err error) {
	s, drop, err := b.open(ctx, storageCallers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	if err := database.HoldAutovacuum(ctx, s.Raw); err != nil {
		return err
	}
	sides, err := c.prepare(ctx, s)
	if err != nil {
		return err
	}
	before, err := s.rowCounts(ctx)
	if err != nil {
		return err
	}
	if err := sides[1].callEach(ctx, b.sizes.appends/storageCallers); err != nil {
		return err
	}
	after, err := s.rowCounts(ctx)
	if err != nil {
		return err
	}
	for i, x := range after {
		// Tables come in the same order both times.
		x.inserted, x.updated, x.deleted = x.inserted-before[i].inserted, x.updated-before[i].updated, x.deleted-before[i].deleted
		if x.inserted+x.updated+x.deleted+x.dead > 0 {
			t.Add(c.name, x.name, whole(x.inserted), whole(x.updated), whole(x.deleted), whole(x.dead), report.Number(x.perEvent, 0))
		}
	}
	return nil
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

// callEach lets every caller call so many times.
func (s side) callEach(ctx context.Context, times int) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range s.calls {
		group.Go(func() error {
			for range times {
				if _, err := c(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// rowCount is what the server counted for a table. Dead rows are those that are still there: a table that prunes its pages has fewer than
// were updated.
type rowCount struct {
	name                             string
	inserted, updated, deleted, dead int64
	perEvent                         float64 // bytes of the table and its indexes
}

// rowCounts gives the tables of Gapless, once all sessions have reported what they did.
func (s *store) rowCounts(ctx context.Context) ([]rowCount, error) {
	if err := s.Reconnect(ctx); err != nil {
		return nil, err
	}
	rows, err := s.Raw.Query(ctx, `
SELECT t.relname, t.n_tup_ins, t.n_tup_upd, t.n_tup_del, t.n_dead_tup,
    pg_total_relation_size(t.relid) / (SELECT greatest(count(*), 1) FROM eventstream.events)::double precision
FROM pg_stat_user_tables AS t
WHERE t.schemaname = 'eventstream'
ORDER BY t.relname`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c rowCount, err error) {
		err = row.Scan(&c.name, &c.inserted, &c.updated, &c.deleted, &c.dead, &c.perEvent)
		return c, err
	})
}
