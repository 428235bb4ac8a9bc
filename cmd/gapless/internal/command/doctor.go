package command

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/migrations"
)

// How a check ended, as the queries of the checks say it too.
const (
	checkOK      = "ok"
	checkWarning = "warning"
	checkProblem = "problem"
)

// clockLimit is how far the clocks of this machine and of the server may be apart.
const clockLimit = 5 * time.Second

// check is what was looked at, as --json has it.
type check struct {
	Check  string `json:"check"`
	Status string `json:"status" db:"status"`
	Detail string `json:"detail" db:"detail"`
	Advice string `json:"advice,omitzero" db:"advice"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look at the server, the schema, and what may hold the store back", Args: noArgs,
		Long: `Looks at the server's version and settings, what this role may do, migrations, indexes and tables, replication and its slots, clocks, and transactions
that hold the log back. It only reads. Whether what is stored is sound is for gapless audit to say.

The exit code is 1 if there is a problem; warnings leave it 0.`,
		Example: `  gapless doctor
  gapless doctor --json | jq 'select(.status != "ok")'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error {
				checks, err := examine(cmd.Context(), pool)
				if err != nil {
					return err
				}
				return a.printChecks(checks)
			})
		},
	}
}

func (a *app) printChecks(checks []check) (err error) {
	list := a.out.List("STATUS", "CHECK", "DETAIL", "ADVICE")
	forPeople := a.out.Table && !a.out.JSON
	if forPeople {
		// Advice has a line of its own, and nothing is cut off: it is what the reader is after.
		list = a.out.List("STATUS", "CHECK", "DETAIL")
		a.out.Width = 0
	}
	for _, c := range checks {
		if c.Status == checkProblem {
			err = errFindings
		}
		cells := []string{c.Status, c.Check, c.Detail, c.Advice}
		if forPeople {
			cells = cells[:3]
		}
		if failed := list.Add(c, cells...); failed != nil {
			return failed
		}
		if forPeople && c.Advice != "" {
			if failed := list.Add(nil, "", "", "-> "+c.Advice); failed != nil {
				return failed
			}
		}
	}
	if failed := list.Flush(); failed != nil {
		return failed
	}
	return err
}

// examine runs all checks. Those about the store are left out while there is none.
func examine(ctx context.Context, pool *pgxpool.Pool) (checks []check, err error) {
	for _, q := range serverChecks {
		if checks, err = q.run(ctx, pool, checks); err != nil {
			return nil, err
		}
	}
	clock, err := clockCheck(ctx, pool)
	if err != nil {
		return nil, err
	}
	schema, ready, err := schemaCheck(ctx, pool)
	if err != nil {
		return nil, err
	}
	checks = append(checks, clock, schema)
	if !ready {
		return checks, nil
	}
	for _, q := range storeChecks {
		if checks, err = q.run(ctx, pool, checks); err != nil {
			return nil, err
		}
	}
	return checks, nil
}

// checkQuery gives a row for each thing that it looked at: status, detail and advice.
type checkQuery struct{ name, sql string }

func (q checkQuery) run(ctx context.Context, pool *pgxpool.Pool, checks []check) ([]check, error) {
	rows, err := pool.Query(ctx, q.sql)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[check])
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", q.name, err)
	}
	for _, c := range found {
		c.Check = q.name
		checks = append(checks, c)
	}
	return checks, nil
}

// clockCheck compares the clocks of this machine and of the server.
func clockCheck(ctx context.Context, pool *pgxpool.Pool) (check, error) {
	var server time.Time
	before := time.Now()
	if err := pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&server); err != nil {
		return check{}, err
	}
	middle := before.Add(time.Since(before) / 2)
	apart := server.Sub(middle).Abs().Round(time.Millisecond)
	if apart > clockLimit {
		return check{"clock", checkWarning, fmt.Sprintf("this machine and the server are %s apart", apart), "let both ask a time server"}, nil
	}
	return check{"clock", checkOK, "this machine and the server agree", ""}, nil
}

// schemaCheck compares the migrations of this build and of the database, and says whether there is a schema to look at.
func schemaCheck(ctx context.Context, pool *pgxpool.Pool) (c check, ready bool, err error) {
	status, err := migrations.Status(ctx, pool)
	if err != nil {
		return check{}, false, err
	}
	missing, newer := 0, 0
	for _, m := range status {
		switch {
		case !m.Applied:
			missing++
		case m.Name == "":
			newer++
		}
	}
	switch latest := migrations.Latest(); {
	case missing == len(status):
		return check{"migrations", checkProblem, "schema eventstream is not installed", "gapless migrate up"}, false, nil
	case missing > 0:
		return check{"migrations", checkProblem, fmt.Sprintf("%d of %d are not applied", missing, latest), "gapless migrate up"}, false, nil
	case newer > 0:
		return check{
			"migrations", checkWarning, fmt.Sprintf("the database has %d that this build does not know", newer), "use the command of the newer release",
		}, true, nil
	default:
		return check{"migrations", checkOK, fmt.Sprintf("all %d are applied", latest), ""}, true, nil
	}
}
