package command

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// logFlags select a part of the log.
type logFlags struct {
	filter   logFilterFlags
	from     string
	limit    int
	back     bool
	follow   bool
	interval time.Duration
}

// logFilterFlags select events.
type logFilterFlags struct {
	types, partitions []string
	tenant, category  string
}

func (a *app) logCommand() *cobra.Command {
	var flags logFlags
	cmd := &cobra.Command{
		Use: "log", Short: "Print the log of all streams, and follow it", Args: noArgs,
		Long: `Prints the events of all streams in the one order of the log, up to the position below which nothing can still appear.

--from takes beginning, latest, a position, sequence:N, a time as 2026-01-31T12:00:00Z, or a duration as 15m, which is so long ago.
--follow goes on with what comes; Ctrl-C ends it. With --json each event is a line that gapless import takes.`,
		Example: `  gapless log --from 15m
  gapless log --follow --from latest --type order.placed --type order.paid
  gapless log --category order --tenant acme --backwards --limit 10 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := flags.options()
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				printer := &logPrinter{repo: repo, list: a.out.List(eventColumns[:]...)}
				if flags.follow {
					return printer.follow(cmd.Context(), opts, flags.interval)
				}
				return printer.print(cmd.Context(), opts)
			})
		},
	}
	f := cmd.Flags()
	flags.filter.add(f)
	f.StringVar(&flags.from, "from", "", "where to start: beginning, latest, a position, sequence:N, a time, or a duration (default: beginning)")
	f.IntVar(&flags.limit, "limit", 0, "end after so many events (default: no limit)")
	f.BoolVar(&flags.back, "backwards", false, "from newer to older")
	f.BoolVarP(&flags.follow, "follow", "f", false, "go on with what comes")
	f.DurationVar(&flags.interval, "interval", 500*time.Millisecond, "how often --follow looks for what came")
	return cmd
}

func (l *logFilterFlags) add(f *pflag.FlagSet) {
	f.StringSliceVar(&l.types, "type", nil, "events of this type; may be repeated")
	f.StringVar(&l.tenant, "tenant", "", "events of this tenant")
	f.StringVar(&l.category, "category", "", "events of streams of this category: order for order-1")
	f.StringSliceVar(&l.partitions, "partition", nil, "events of this partition, a number; may be repeated")
}

func (l *logFilterFlags) filter() (eventstream.LogFilter, error) {
	filter := eventstream.LogFilter{Tenant: eventstream.TenantID(l.tenant), Category: l.category}
	for _, t := range l.types {
		filter.Types = append(filter.Types, eventstream.EventType(t))
	}
	for _, p := range l.partitions {
		id, err := strconv.Atoi(p)
		if err != nil {
			return filter, usagef("--partition %q: must be a number from 0", p)
		}
		filter.Partitions = append(filter.Partitions, id)
	}
	return filter, nil
}

func (l *logFlags) options() (opts eventstream.LogOptions, err error) {
	if opts.Filter, err = l.filter.filter(); err != nil {
		return opts, err
	}
	opts.Limit, opts.Backwards = l.limit, l.back
	switch {
	case l.follow && l.back:
		return opts, usagef("--follow and --backwards: choose one")
	case l.follow && l.interval < 10*time.Millisecond:
		return opts, usagef("--interval %s: must be 10ms or more", l.interval)
	case l.from != "":
		opts.From, err = parseStart(l.from)
	}
	return opts, err
}

// parseStart reads where to start in the log.
func parseStart(text string) (eventstream.Start, error) {
	switch text {
	case string(eventstream.FromBeginning):
		return eventstream.FromBeginning, nil
	case string(eventstream.FromLatest):
		return eventstream.FromLatest, nil
	}
	if number, found := strings.CutPrefix(text, "sequence:"); found {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			return eventstream.FromSequence(n), nil
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return eventstream.FromPosition(n), nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return eventstream.FromTime(at), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return eventstream.FromTime(time.Now().Add(-ago)), nil
	}
	return nil, usagef("start %q: must be beginning, latest, a position, sequence:N, a time as 2026-01-31T12:00:00Z, or a duration as 15m", text)
}

// logPrinter prints the log.
type logPrinter struct {
	repo *eventstream.Repository
	list *output.List
	// printed is how many events were, and last the last one.
	printed int
	last    eventstream.LogEvent
}

func (p *logPrinter) print(ctx context.Context, opts eventstream.LogOptions) error {
	for event, err := range p.repo.ReadLog(ctx, opts) {
		if err != nil {
			return err
		}
		if err := addEvent(p.list, event, &event.Event); err != nil {
			return err
		}
		p.printed++
		p.last = event
	}
	return p.list.Flush()
}

// follow prints what is there and what comes, until the limit or the end of the context, which is its regular end.
func (p *logPrinter) follow(ctx context.Context, opts eventstream.LogOptions, interval time.Duration) error {
	limit := opts.Limit
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for seen := int64(-1); ; {
		end, moved, err := p.end(ctx, seen)
		if err == nil && moved {
			seen = end.Position
			if opts.From == eventstream.FromLatest {
				opts.From = behind(end)
			} else {
				err = p.print(ctx, opts)
				opts.From = p.next(opts.From, end)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if limit > 0 {
			if opts.Limit = limit - p.printed; opts.Limit <= 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// end gives the last event of the log, and says whether that has moved; the zero one of an empty log.
func (p *logPrinter) end(ctx context.Context, seen int64) (last eventstream.LogEvent, moved bool, err error) {
	for last, err = range p.repo.ReadLog(ctx, eventstream.LogOptions{Backwards: true, Limit: 1}) {
		if err != nil {
			return last, false, err
		}
	}
	return last, last.Position != seen, nil
}

// next is where to go on after everything up to the end was read: a filter that selects little must not go through the log again.
func (p *logPrinter) next(from eventstream.Start, end eventstream.LogEvent) eventstream.Start {
	if p.last.Position > end.Position {
		end = p.last
	}
	if end.Position == 0 {
		return from
	}
	return behind(end)
}

func behind(e eventstream.LogEvent) eventstream.Start {
	if e.Position == 0 {
		return eventstream.FromBeginning
	}
	return eventstream.After(e)
}
