package command

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
)

// timerStates are what --state takes: a timer is in one of them.
var timerStates = []string{"waiting", "due", "parked"}

func (a *app) timersCommand() *cobra.Command {
	return group("timers", "List and cancel timers",
		`A timer is what a process wants to be told of at a time. The service that handles the timers of the process takes it once it is due.`,
		a.timersListCommand(), a.timersCancelCommand())
}

// timerRow is a timer as --json has it.
type timerRow struct {
	Process   string          `json:"process" db:"process"`
	Key       string          `json:"key" db:"key"`
	Name      string          `json:"name" db:"name"`
	State     string          `json:"state" db:"state"`
	DueAt     time.Time       `json:"due_at" db:"due_at"`
	NextAt    time.Time       `json:"next_at" db:"next_at"`
	Late      float64         `json:"late_seconds" db:"late"`
	SetAt     time.Time       `json:"set_at" db:"set_at"`
	Tries     int             `json:"tries" db:"tries"`
	LastError string          `json:"last_error,omitzero" db:"last_error"`
	Payload   json.RawMessage `json:"payload" db:"payload"`
}

// timerFilter is which timers are listed.
type timerFilter struct {
	process, key, state string
	limit, skip         int
}

func (a *app) timersListCommand() *cobra.Command {
	var filter timerFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List timers, the one that is due first on top", Args: noArgs,
		Long: `Lists timers in order of the time at which they are tried next. One that is due and stays so is handled by nobody: late says for how long it has
been due. One with tries has failed, and is tried again after a pause; one that is parked is not, until the service calls process.Retry.`,
		Example: `  gapless timers list --process invoices --state due
  gapless timers list --limit 50 --skip 50 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case filter.state != "" && !slices.Contains(timerStates, filter.state):
				return usagef("--state %q: must be %s", filter.state, strings.Join(timerStates, ", "))
			case filter.limit < 0 || filter.skip < 0:
				return usagef("--limit and --skip must be 0 or more")
			}
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error { return a.listTimers(cmd.Context(), pool, filter) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&filter.process, "process", "", "timers of this process")
	f.StringVar(&filter.key, "key", "", "timers of this key, as the id of an order")
	f.StringVar(&filter.state, "state", "", "waiting, due or parked")
	f.IntVar(&filter.limit, "limit", 0, "end after so many timers (default: no limit)")
	f.IntVar(&filter.skip, "skip", 0, "leave out so many first: those of the pages before")
	return cmd
}

const timersQuery = `
SELECT t.process, t.key, t.name, t.state, t.due_at, t.next_at, t.set_at, t.tries, coalesce(t.last_error, '') AS last_error, t.payload,
    CASE WHEN t.state = 'due' THEN extract(epoch FROM t.now - t.next_at) ELSE 0 END::double precision AS late
FROM (
    SELECT s.*, n.now, CASE WHEN s.parked_at IS NOT NULL THEN 'parked' WHEN s.next_at <= n.now THEN 'due' ELSE 'waiting' END AS state
    FROM eventstream.timers AS s
    CROSS JOIN (SELECT clock_timestamp() AS now OFFSET 0) AS n
    WHERE ($1 = '' OR s.process = $1) AND ($2 = '' OR s.key = $2)
) AS t
WHERE $3 = '' OR t.state = $3
ORDER BY t.next_at, t.process, t.key, t.name
LIMIT nullif($4::bigint, 0) OFFSET $5`

func (a *app) listTimers(ctx context.Context, pool *pgxpool.Pool, filter timerFilter) error {
	rows, err := pool.Query(ctx, timersQuery, filter.process, filter.key, filter.state, filter.limit, filter.skip)
	if err != nil {
		return err
	}
	defer rows.Close()
	list := a.out.List("PROCESS", "KEY", "NAME", "STATE", "DUE AT", "#LATE", "#TRIES", "LAST ERROR")
	for rows.Next() {
		row, err := pgx.RowToStructByName[timerRow](rows)
		if err != nil {
			return err
		}
		row.DueAt, row.NextAt, row.SetAt = row.DueAt.UTC(), row.NextAt.UTC(), row.SetAt.UTC()
		if err := list.Add(row, row.Process, row.Key, row.Name, row.State, output.Time(row.DueAt), age(row.Late), output.Int(row.Tries),
			row.LastError); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return list.Flush()
}

// canceledTimers is how many timers were canceled, as --json has it.
type canceledTimers struct {
	Canceled int `json:"canceled"`
}

func (a *app) timersCancelCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "cancel PROCESS KEY", Short: "Remove the timers of a key, or one of them", Args: needs(2, 2),
		Long: `Removes the timers that a process has set for a key, or the one of --name: what they would have done is not done. It waits for one that is being
handled, which has fired then.`,
		Example: `  gapless timers cancel invoices invoice-7 --name remind`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				what := "all timers"
				if name != "" {
					what = "timer " + name
				}
				if err := a.confirm(cmd.Context(), "this removes %s of %q of process %q", what, args[1], args[0]); err != nil {
					return err
				}
				canceled, err := cancelTimers(cmd.Context(), repo, args[0], args[1], name)
				if err != nil {
					return err
				}
				if canceled == 0 {
					a.note("no timer of that kind waits: see gapless timers list")
				}
				return a.out.Record(canceledTimers{canceled}, [2]string{"canceled", output.Int(canceled)})
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "this timer of the key (default: all of them)")
	return cmd
}

func cancelTimers(ctx context.Context, repo *eventstream.Repository, of, key, name string) (int, error) {
	if name == "" {
		return process.CancelAll(ctx, repo, of, key)
	}
	canceled, err := process.Cancel(ctx, repo, process.TimerRef{Process: of, Key: key, Name: name})
	if canceled {
		return 1, err
	}
	return 0, err
}
