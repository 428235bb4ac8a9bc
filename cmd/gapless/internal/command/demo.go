package command

import (
	"context"
	"iter"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/demo"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
	"github.com/gaplesspg/gapless/eventstream"
)

// Bounds of a demo.
const (
	maxDemoEvents = 1_000_000
	maxDemoRate   = 1000
)

// demoFlags say how large and how lively the shop is.
type demoFlags struct {
	events int
	seed   uint64
	end    string
	follow bool
	rate   float64
}

func (a *app) demoCommand() *cobra.Command {
	var flags demoFlags
	cmd := &cobra.Command{
		Use: "demo", Short: "Fill a store with the events of a small shop, to look around in", Args: noArgs,
		Long: `Fills a migrated store with the events of a small shop of three tenants: orders, payments, shipments, customers and stock of the last two weeks,
each with the event that caused it. With --follow it goes on, with so many events a second, until Ctrl-C.

The same --seed makes the same events, and with the same --end at the same times; what is there is skipped. A store that has events of yours is
left alone, unless you say yes: events cannot be taken away again.`,
		Example: `  gapless migrate up && gapless demo
  gapless demo --events 100000 --seed 7
  gapless demo --follow --rate 20`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			end, err := flags.check()
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				return a.demo(cmd.Context(), pool, repo, &flags, end)
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&flags.events, "events", 3000, "how many events there are to begin with; 0 for none")
	f.Uint64Var(&flags.seed, "seed", 1, "what the events are drawn from")
	f.StringVar(&flags.end, "end", "", "time of the newest event, as 2026-01-31T12:00:00Z (default: now)")
	f.BoolVar(&flags.follow, "follow", false, "go on, until Ctrl-C")
	f.Float64Var(&flags.rate, "rate", 5, "how many events a second --follow appends")
	return cmd
}

func (f *demoFlags) check() (end time.Time, err error) {
	switch {
	case f.events < 0 || f.events > maxDemoEvents:
		return end, usagef("--events %d: must be 0 to %d", f.events, maxDemoEvents)
	case !(f.rate > 0) || f.rate > maxDemoRate:
		return end, usagef("--rate %g: must be more than 0, and %d at most", f.rate, maxDemoRate)
	case f.end == "":
		return time.Now(), nil
	}
	if end, err = time.Parse(time.RFC3339, f.end); err != nil {
		return end, usagef("--end %q is no time: give it as 2026-01-31T12:00:00Z", f.end)
	}
	return end, nil
}

func (a *app) demo(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, flags *demoFlags, end time.Time) error {
	var others bool
	err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM eventstream.events WHERE NOT metadata ? $1)`, demo.Mark).Scan(&others)
	if err != nil {
		return err
	}
	if others {
		if err := a.confirm(ctx, "this store has events that are no demo, and those of a demo stay in it for good"); err != nil {
			return err
		}
	}
	if flags.events > 0 || !flags.follow {
		if err := a.demoHistory(ctx, repo, flags, end); err != nil {
			return err
		}
	}
	if !flags.follow {
		return nil
	}
	return a.demoFollow(ctx, repo, flags)
}

// demoHistory imports what has happened so far.
func (a *app) demoHistory(ctx context.Context, repo *eventstream.Repository, flags *demoFlags, end time.Time) error {
	started := "" // the shop of the first seed has the short names
	if flags.seed != 1 {
		started = strconv.FormatUint(flags.seed, 10)
	}
	events := demo.NewShop(flags.seed, started).History(flags.events, end)
	bar := progress.Start(a.stderr, "demo", int64(max(len(events), 1)), progress.Events)
	result, err := repo.Import(ctx, shown(events, bar))
	bar.End(err)
	if err != nil {
		return importFailed(result, err)
	}
	return a.printImport(imported{result.Imported, result.Skipped, result.LastPosition, false})
}

func shown(events []eventstream.Event, bar *progress.Bar) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		for n, event := range events {
			if !yield(event, nil) {
				return
			}
			bar.Set(int64(n + 1))
		}
	}
}

// followed is what --follow appended, as --json has it.
type followed struct {
	Appended int64 `json:"appended"`
}

// demoFollow appends one event after the other. An interrupt is how it ends.
func (a *app) demoFollow(ctx context.Context, repo *eventstream.Repository, flags *demoFlags) error {
	shop := demo.NewShop(flags.seed, strconv.FormatInt(time.Now().UnixMilli(), 36))
	tick := time.NewTicker(time.Duration(float64(time.Second) / flags.rate))
	defer tick.Stop()
	var onTheWay [][]eventstream.Event
	for appended := int64(0); ; appended++ {
		event := shop.Next(&onTheWay, time.Now())
		_, err := repo.Append(ctx, event.StreamID, eventstream.Any, event)
		if ctx.Err() != nil {
			return a.out.Record(followed{appended}, [2]string{"appended", output.Int(appended)})
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return a.out.Record(followed{appended + 1}, [2]string{"appended", output.Int(appended + 1)})
		case <-tick.C:
		}
	}
}
