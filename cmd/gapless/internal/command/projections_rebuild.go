package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/pause"
)

// rebuildFlags are those of projections rebuild.
type rebuildFlags struct {
	subscription.RebuildOptions
	noWait, cancel bool
}

func (a *app) projectionsRebuildCommand() *cobra.Command {
	var flags rebuildFlags
	cmd := &cobra.Command{
		Use: "rebuild NAME", Short: "Let a service build the tables of a projection anew", Args: needs(1, 1),
		Long: `Asks for a rebuild of a projection, and waits until it is done. The code that fills the tables is a service's: one of the processes that run the
projection takes the request up within about a second; if that process ends meanwhile, another one does, or the service when it is back. New
tables grow beside the live ones, and take their place at once when they are complete; with --in-place the live tables are emptied first and
readers see them grow, and that is asked.

Interrupt ends the waiting and not the rebuild: the command without flags waits for it again, and --cancel takes the request back.`,
		Example: `  gapless projections rebuild totals
  gapless projections rebuild totals --in-place --no-wait --yes
  gapless projections rebuild totals --cancel`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.cancel && (flags.noWait || flags.InPlace || flags.Shards != 0) {
				return usagef("--cancel takes a request back, and goes with no other flag of a rebuild")
			}
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				if flags.cancel {
					return a.cancelRebuild(cmd.Context(), pool, repo, args[0])
				}
				return a.rebuild(cmd.Context(), pool, repo, args[0], flags)
			})
		},
	}
	cmd.Flags().BoolVar(&flags.InPlace, "in-place", false, "empty the live tables first, rather than build new ones beside them")
	cmd.Flags().IntVar(&flags.Shards, "shards", 0, "shards of the rebuild (default: as many as the service says)")
	cmd.Flags().BoolVar(&flags.noWait, "no-wait", false, "return once the rebuild is requested")
	cmd.Flags().BoolVar(&flags.cancel, "cancel", false, "take a request back, and end the rebuild if a process is at it")
	return cmd
}

// rebuildRow is the last request to rebuild a projection as --json has it.
type rebuildRow struct {
	Projection   string     `json:"projection" db:"projection"`
	Request      string     `json:"request" db:"request"`
	State        string     `json:"state" db:"state"`
	InPlace      bool       `json:"in_place" db:"in_place"`
	Shards       int        `json:"shards,omitzero" db:"shards"`
	RequestedBy  string     `json:"requested_by" db:"requested_by"`
	RequestedAt  *time.Time `json:"requested_at" db:"requested_at"`
	TakenBy      string     `json:"taken_by,omitzero" db:"taken_by"`
	TakenAt      *time.Time `json:"taken_at,omitzero" db:"taken_at"`
	Takes        int        `json:"takes" db:"takes"`
	EndedAt      *time.Time `json:"ended_at,omitzero" db:"ended_at"`
	Error        string     `json:"error,omitzero" db:"error"`
	Processes    int64      `json:"processes" db:"processes"`
	Position     int64      `json:"position,omitzero" db:"position"`
	LastPosition int64      `json:"last_position" db:"last_position"`
}

// States of a request, as eventstream.audit_projections has them.
const (
	requestFailed   = "failed"
	requestCanceled = "canceled"
	requestRuns     = "running"
)

var errStopsWaiting = stopped("the request stays: the same command waits for it again, and --cancel takes it back")

const rebuildQuery = `
SELECT p.projection, coalesce(p.request_id::text, '') AS request, coalesce(p.request_state, '') AS state,
    coalesce(p.request_in_place, false) AS in_place, coalesce(p.request_shard_count, 0) AS shards, coalesce(p.requested_by, '') AS requested_by,
    p.requested_at, coalesce(p.taken_by, '') AS taken_by, p.taken_at, coalesce(p.takes, 0) AS takes, p.ended_at,
    coalesce(p.request_error, '') AS error, p.processes, coalesce(p.rebuild_position, 0) AS position, eventstream.last_position() AS last_position
FROM eventstream.audit_projections AS p
WHERE p.projection = $1`

func readRebuild(ctx context.Context, pool *pgxpool.Pool, name string) (rebuildRow, error) {
	rows, err := pool.Query(ctx, rebuildQuery, name)
	if err != nil {
		return rebuildRow{}, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[rebuildRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return row, unknownProjection(name)
	}
	for _, at := range []*time.Time{row.RequestedAt, row.TakenAt, row.EndedAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
	return row, err
}

// readThrough reads as readRebuild does, and waits while the database is away: that changes nothing of a request, which is in it.
func (a *app) readThrough(ctx context.Context, pool *pgxpool.Pool, name string) (rebuildRow, error) {
	for told := false; ; told = true {
		row, err := readRebuild(ctx, pool, name)
		if err == nil || !isAway(err) || ctx.Err() != nil {
			return row, err
		}
		if !told {
			a.note("%s; the request stays, and is waited for", oneLine(err.Error()))
		}
		if err := pause.For(ctx, progressInterval); err != nil {
			return row, err
		}
	}
}

func unknownProjection(name string) error {
	return fmt.Errorf("projection %q is not there: see gapless projections list", name)
}

func (a *app) rebuild(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, name string, flags rebuildFlags) error {
	if flags.InPlace {
		if err := a.confirm(ctx, "this empties the tables of projection %s, and readers see them incomplete until they are filled again", name); err != nil {
			return err
		}
	}
	request, err := subscription.RequestRebuild(ctx, repo, name, &flags.RebuildOptions)
	switch {
	case errors.Is(err, subscription.ErrNotFound):
		return unknownProjection(name)
	case errors.Is(err, subscription.ErrMismatch):
		return fmt.Errorf("%q is a subscription and no projection: see gapless projections list", name)
	case errors.Is(err, subscription.ErrRebuildRunning):
		return fmt.Errorf("projection %q is being rebuilt, by a service that began it by itself: gapless subscriptions list shows how far that is", name)
	case err != nil:
		return err
	}
	read := a.readThrough
	if flags.noWait {
		read = readRebuild
	}
	row, err := read(ctx, pool, name)
	switch {
	case ctx.Err() != nil:
		return errStopsWaiting
	case err != nil:
		return err
	}
	if request.Earlier {
		if flags.InPlace && !row.InPlace || flags.Shards != 0 && flags.Shards != row.Shards {
			return fmt.Errorf("a rebuild of projection %q is requested already, by %s, with other flags: wait for it without flags, or --cancel it first",
				name, row.RequestedBy)
		}
		where := ""
		if row.InPlace {
			where = " in place"
		}
		a.note("a rebuild%s of projection %s was requested already, by %s", where, name, row.RequestedBy)
	}
	if row.Processes == 0 && row.State != requestRuns {
		a.note("no process runs projection %s: the request waits until a service does", name)
	}
	if flags.noWait {
		return a.printRebuild(row, "rebuild requested")
	}
	return a.awaitRebuild(ctx, pool, row)
}

// note says something that is neither result nor error.
func (a *app) note(format string, args ...any) {
	if !a.asJSON {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

func (a *app) printRebuild(row rebuildRow, what string) error {
	if a.out.JSON {
		return a.out.Record(row)
	}
	return a.out.Say("projection %s: %s", row.Projection, what)
}

// awaitRebuild waits until a request has ended, and shows how far its rebuild is.
func (a *app) awaitRebuild(ctx context.Context, pool *pgxpool.Pool, row rebuildRow) error {
	bar := progress.Start(a.stderr, row.Projection, max(row.LastPosition, 1), progress.Events)
	ended, err := a.watchRebuild(ctx, pool, row, bar)
	if err == nil {
		err = outcomeOf(row.Request, ended)
	}
	bar.End(err)
	if ctx.Err() != nil {
		return errStopsWaiting
	}
	if a.out.JSON && ended.EndedAt != nil {
		if printed := a.out.Record(ended); printed != nil {
			return printed
		}
		return err
	}
	if err != nil {
		return err
	}
	return a.printRebuild(ended, fmt.Sprintf("rebuilt in %s by %s", ended.EndedAt.Sub(*ended.TakenAt).Round(time.Second), ended.TakenBy))
}

// watchRebuild returns the request once it has ended, or another has taken its place.
func (a *app) watchRebuild(ctx context.Context, pool *pgxpool.Pool, row rebuildRow, bar *progress.Bar) (rebuildRow, error) {
	for {
		now, err := a.readThrough(ctx, pool, row.Projection)
		if err != nil || now.EndedAt != nil || now.Request != row.Request {
			return now, err
		}
		if now.State == requestRuns {
			bar.SetTotal(max(now.LastPosition, 1))
			bar.Set(min(now.Position, now.LastPosition-1))
		}
		if err := pause.For(ctx, progressInterval); err != nil {
			return now, err
		}
	}
}

// outcomeOf is the error of a request that did not end well.
func outcomeOf(request string, ended rebuildRow) error {
	switch {
	case ended.Request != request:
		return fmt.Errorf("the rebuild of projection %q has ended, and another one was requested since: gapless projections list shows it", ended.Projection)
	case ended.State == requestFailed:
		return errors.New(ended.Error)
	case ended.State == requestCanceled:
		return fmt.Errorf("the rebuild of projection %q was canceled", ended.Projection)
	}
	return nil
}

func (a *app) cancelRebuild(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, name string) error {
	row, err := readRebuild(ctx, pool, name)
	if err != nil {
		return err
	}
	none := fmt.Errorf("no rebuild of projection %q is requested: see gapless projections list", name)
	if row.Request == "" || row.EndedAt != nil {
		return none
	}
	if row.InPlace && row.Takes > 0 {
		if err := a.confirm(ctx, "the tables of projection %s are being filled in place, and stay incomplete until it is rebuilt", name); err != nil {
			return err
		}
	}
	canceled, err := subscription.CancelRebuild(ctx, repo, name)
	if err != nil {
		return err
	}
	if !canceled {
		return none
	}
	row, err = readRebuild(ctx, pool, name)
	if err != nil {
		return err
	}
	return a.printRebuild(row, "the request is canceled")
}
