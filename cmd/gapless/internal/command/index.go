package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
)

// indexStatement is an index that serves a filter of the log. The statements are those of docs/subscriptions.md.
type indexStatement struct{ filter, name, create string }

var indexStatements = [...]indexStatement{
	{
		"type", "events_type_position_idx",
		`CREATE INDEX CONCURRENTLY events_type_position_idx ON eventstream.events (type, position)`,
	},
	{
		"category", "events_category_position_idx",
		`CREATE INDEX CONCURRENTLY events_category_position_idx ON eventstream.events (eventstream.category(stream_id), position)`,
	},
	{
		"tenant", "events_tenant_position_idx",
		`CREATE INDEX CONCURRENTLY events_tenant_position_idx ON eventstream.events (tenant_id, position)`,
	},
}

const (
	progressInterval = 200 * time.Millisecond
	// dropTimeout is how long an index that was not finished may take to go.
	dropTimeout = 30 * time.Second
)

func (a *app) indexCommand() *cobra.Command {
	return group("index", "Create indexes that filters of the log need", `A filter that selects a small part of a large log reads all of it, unless an index serves the filter.`,
		a.indexCreateCommand())
}

func (a *app) indexCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "create type|category|tenant", Short: "Create the index that a filter needs, beside writers", Args: needs(1, 1),
		Long: `Creates an index that serves --type, --category or --tenant of log and of subscriptions, without stopping writers. It costs a little on every
append. If it is interrupted or fails, what there is of it is dropped. Needs the owner of the tables.`,
		Example:   `  gapless index create type`,
		ValidArgs: []string{"type", "category", "tenant"},
		RunE: func(cmd *cobra.Command, args []string) error {
			at := slices.IndexFunc(indexStatements[:], func(s indexStatement) bool { return s.filter == args[0] })
			if at < 0 {
				return usagef("index create %q: must be type, category or tenant", args[0])
			}
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error {
				return a.createIndex(cmd.Context(), pool, indexStatements[at])
			})
		},
	}
}

// createdIndex is an index as --json has it.
type createdIndex struct {
	Index   string `json:"index"`
	Created bool   `json:"created"`
}

func (a *app) createIndex(ctx context.Context, pool *pgxpool.Pool, index indexStatement) error {
	valid, found, err := indexState(ctx, pool, index.name)
	if err != nil {
		return err
	}
	if found && valid {
		return a.printIndex(createdIndex{index.name, false}, "is there already")
	}
	if found { // of a build that failed
		if err := dropIndex(ctx, pool, index.name); err != nil {
			return err
		}
	}
	if err := a.buildIndex(ctx, pool, index); err != nil {
		return err
	}
	return a.printIndex(createdIndex{index.name, true}, "was created")
}

func (a *app) printIndex(row createdIndex, what string) error {
	if a.out.JSON {
		return a.out.Record(row)
	}
	return a.out.Say("index eventstream.%s %s", row.Index, what)
}

// indexState says whether an index is there, and whether it is used.
func indexState(ctx context.Context, pool *pgxpool.Pool, name string) (valid, found bool, err error) {
	err = pool.QueryRow(ctx, `
		SELECT i.indisvalid
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
		WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relname = $1`, name).Scan(&valid)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, false, nil
	}
	return valid, err == nil, err
}

// buildIndex creates an index, shows how far it is, and leaves nothing of one that fails.
func (a *app) buildIndex(ctx context.Context, pool *pgxpool.Pool, index indexStatement) (err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	bar := progress.Start(a.stderr, index.name, 1, progress.Percent)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchIndex(watching, pool, conn.Conn().PgConn().PID(), bar)
	}()
	// A build waits for transactions that are older; the time is theirs.
	_, err = conn.Exec(ctx, `SET statement_timeout = 0; SET lock_timeout = 0`)
	if err == nil {
		_, err = conn.Exec(ctx, index.create)
	}
	stop()
	<-watched
	bar.End(err)
	if err == nil {
		return nil
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
	defer cancel()
	if _, found, look := indexState(clean, pool, index.name); look != nil || found {
		if dropped := dropIndex(clean, pool, index.name); dropped != nil {
			left := fmt.Sprintf("what there is of index eventstream.%s could not be dropped: run the command again, which does it", index.name)
			if ctx.Err() != nil {
				return stopped("%s", left)
			}
			return fmt.Errorf("%w; %s", err, left)
		}
	}
	return err
}

func dropIndex(ctx context.Context, pool *pgxpool.Pool, name string) error {
	_, err := pool.Exec(ctx, `DROP INDEX CONCURRENTLY IF EXISTS `+pgx.Identifier{"eventstream", name}.Sanitize())
	return err
}

// watchIndex shows how far the build of a session is.
func watchIndex(ctx context.Context, pool *pgxpool.Pool, pid uint32, bar *progress.Bar) {
	if bar == nil {
		return
	}
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		var phase string
		var done, total int64
		err := pool.QueryRow(ctx, `
			SELECT phase, greatest(tuples_done, blocks_done), greatest(tuples_total, blocks_total)
			FROM pg_catalog.pg_stat_progress_create_index WHERE pid = $1`, int64(pid)).Scan(&phase, &done, &total)
		if err == nil && total > 0 && strings.HasPrefix(phase, "building") {
			bar.SetTotal(total)
			bar.Set(min(done, total-1))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
