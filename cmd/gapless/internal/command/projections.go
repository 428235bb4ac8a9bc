package command

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

func (a *app) projectionsCommand() *cobra.Command {
	return group("projections", "Look after projections",
		`A projection is a view of the events in tables of the same database, in a schema of its name, fed by a subscription of that name.`,
		a.projectionsListCommand(), a.projectionsRebuildCommand())
}

// projectionRow is a projection as --json has it.
type projectionRow struct {
	Name       string    `json:"projection"`
	Tables     bool      `json:"tables"`
	Bytes      int64     `json:"bytes"`
	Rebuilding bool      `json:"rebuilding"`
	Request    string    `json:"request,omitzero"`
	RequestErr string    `json:"request_error,omitzero"`
	Paused     bool      `json:"paused"`
	LagEvents  int64     `json:"lag_events"`
	LagSeconds float64   `json:"lag_seconds"`
	Parked     int64     `json:"parked"`
	State      string    `json:"state"`
	CreatedAt  time.Time `json:"created_at"`
}

func (a *app) projectionsListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List projections: how far each is, whether its tables are there, and what they take", Args: noArgs,
		Long: `Lists projections. Tables says whether the schema of the name holds the tables that the checkpoint is about; a projection without is rebuilt
by the service that has its code: gapless projections rebuild asks for that. A rebuild that runs shows as a row of its own in gapless
subscriptions list. Request says what became of the last request for one: waiting, running, done, failed or canceled; last error says why
it failed.`,
		Example: `  gapless projections list --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				return a.listProjections(cmd.Context(), pool, repo)
			})
		},
	}
}

func (a *app) listProjections(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository) error {
	subs, _, err := readSubscriptions(ctx, pool, repo, "")
	if err != nil {
		return err
	}
	tables, err := readTables(ctx, pool)
	if err != nil {
		return err
	}
	list := a.out.List("PROJECTION", "STATE", "TABLES", "#SIZE", "REBUILDING", "REQUEST", "#LAG", "#AGE", "#PARKED", "LAST ERROR")
	for _, s := range subs {
		if s.Delivery != "projection" || s.Rebuilds != nil {
			continue
		}
		t := tables[s.Name]
		row := projectionRow{
			Name: s.Name, Tables: t.Complete, Bytes: t.Bytes, Rebuilding: s.Rebuilding, Request: t.Request, RequestErr: t.RequestErr, Paused: s.Paused,
			LagEvents: s.LagEvents, LagSeconds: s.LagSeconds, Parked: s.Parked, State: s.State, CreatedAt: s.CreatedAt,
		}
		if err := list.Add(row, row.Name, row.State, yesNo(row.Tables), output.Bytes(row.Bytes), yesNo(row.Rebuilding), row.Request, output.Int(row.LagEvents),
			age(row.LagSeconds), output.Int(row.Parked), row.RequestErr); err != nil {
			return err
		}
	}
	return list.Flush()
}

// projectionTables are the tables of a projection, and what became of the last request to rebuild them.
type projectionTables struct {
	Projection string
	Complete   bool
	Bytes      int64
	Request    string
	RequestErr string
}

func readTables(ctx context.Context, pool *pgxpool.Pool) (map[string]projectionTables, error) {
	rows, err := pool.Query(ctx, `
		SELECT p.projection, p.problem IS NULL,
			(SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
			FROM pg_catalog.pg_class AS c
			WHERE c.relnamespace = to_regnamespace(quote_ident(p.projection)) AND c.relkind IN ('r', 'm')),
			coalesce(p.request_state, ''), coalesce(p.request_error, '')
		FROM eventstream.audit_projections AS p`)
	if err != nil {
		return nil, err
	}
	tables := map[string]projectionTables{}
	var t projectionTables
	_, err = pgx.ForEachRow(rows, []any{&t.Projection, &t.Complete, &t.Bytes, &t.Request, &t.RequestErr}, func() error {
		tables[t.Projection] = t
		return nil
	})
	return tables, err
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
