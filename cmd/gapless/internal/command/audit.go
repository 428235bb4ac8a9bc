package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// finding is a finding of the audit as --json has it.
type finding struct {
	Check    string               `json:"check"`
	Severity eventstream.Severity `json:"severity"`
	StreamID eventstream.StreamID `json:"stream_id,omitzero"`
	Version  int64                `json:"version,omitzero"`
	Detail   json.RawMessage      `json:"detail"`
	// At is when it was found; with --watch alone.
	At time.Time `json:"at,omitzero"`
}

// auditOptions say what is looked at, and what counts.
type auditOptions struct {
	full, readOnly bool
	severity       eventstream.Severity
}

// findings gives what an audit finds that is as bad as asked.
func (o auditOptions) findings(ctx context.Context, repo *eventstream.Repository) ([]eventstream.AuditFinding, error) {
	var findings []eventstream.AuditFinding
	var err error
	if o.readOnly {
		findings, err = repo.Audit(ctx)
	} else {
		findings, err = repo.RunAudit(ctx, o.full)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == notAllowed && !o.readOnly {
		err = fmt.Errorf("%w: --read-only needs the right to read alone, and leaves no record", err)
	}
	if o.severity == eventstream.SeverityError {
		findings = slices.DeleteFunc(findings, func(f eventstream.AuditFinding) bool { return f.Severity != eventstream.SeverityError })
	}
	return findings, err
}

func (o auditOptions) check() error {
	switch {
	case o.severity != eventstream.SeverityError && o.severity != eventstream.SeverityWarning:
		return usagef("--severity %s: must be error or warning", o.severity)
	case o.full && o.readOnly:
		return usagef("--full and --read-only: an audit that is not put on record is always full")
	}
	return nil
}

func (a *app) auditCommand() *cobra.Command {
	var watch bool
	var interval time.Duration
	var options auditOptions
	cmd := &cobra.Command{
		Use: "audit", Short: "Let the database check every promise over all that it stores", Args: noArgs,
		Long: `Lets the database check every promise, and prints what is wrong: nothing means clean. It goes on from the last clean audit on record, and
puts itself on record; the first one, and one with --full, reads everything, every sealed block included: some ten seconds for a million events.
It locks nothing. docs/audit.md says what each finding means. It needs EXECUTE on run_audit and advance_stable_position; --read-only
needs the right to read alone, reads everything but the older sealed blocks, and leaves no record.

The exit code is 1 if there is a finding; with --severity error, a warning does not count, and is not shown. With --watch it looks again and again,
prints what it has not printed before, and ends with Ctrl-C, and with 1 if there were findings the last time.`,
		Example: `  gapless audit && echo clean
  gapless audit --full --severity error
  gapless audit --json | jq -r .check | sort | uniq -c
  gapless audit --watch --interval 10m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch && interval < time.Second {
				return usagef("--interval %s: must be 1s or more", interval)
			}
			if err := options.check(); err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				if watch {
					return a.watchAudit(cmd.Context(), repo, options, interval)
				}
				return a.auditOnce(cmd.Context(), repo, options)
			})
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "look again and again")
	cmd.Flags().BoolVar(&options.full, "full", false, "read everything, whatever the last audit saw")
	cmd.Flags().BoolVar(&options.readOnly, "read-only", false, "leave no record")
	cmd.Flags().StringVar((*string)(&options.severity), "severity", string(eventstream.SeverityWarning), "what counts: error, or warning and error")
	cmd.Flags().DurationVar(&interval, "interval", time.Minute, "how long --watch waits between two looks")
	return cmd
}

func (a *app) auditOnce(ctx context.Context, repo *eventstream.Repository, options auditOptions) error {
	findings, err := options.findings(ctx, repo)
	if err != nil {
		return err
	}
	if len(findings) == 0 {
		return a.out.Say("clean")
	}
	list := a.out.List("SEVERITY", "CHECK", "STREAM", "#VERSION", "DETAIL")
	for _, f := range findings {
		if err := addFinding(list, f, time.Time{}); err != nil {
			return err
		}
	}
	if err := list.Flush(); err != nil {
		return err
	}
	return errFindings
}

func addFinding(list *output.List, f eventstream.AuditFinding, at time.Time) error {
	version := ""
	if f.Version > 0 {
		version = output.Int(f.Version)
	}
	return list.Add(finding{f.Check, f.Severity, f.StreamID, f.Version, f.Detail, at},
		string(f.Severity), f.Check, string(f.StreamID), version, string(f.Detail))
}

// watchAudit prints findings as they appear, and says when they are gone.
func (a *app) watchAudit(ctx context.Context, repo *eventstream.Repository, options auditOptions, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	known := map[string]bool{}
	for first := true; ; first = false {
		findings, err := options.findings(ctx, repo)
		if ctx.Err() != nil {
			return asFindings(len(known))
		}
		if err != nil {
			return err
		}
		if known, err = a.newFindings(findings, known, first); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return asFindings(len(known))
		case <-tick.C:
		}
	}
}

func asFindings(n int) error {
	if n > 0 {
		return errFindings
	}
	return nil
}

// newFindings prints what was not known, and returns what is known now.
func (a *app) newFindings(findings []eventstream.AuditFinding, known map[string]bool, first bool) (map[string]bool, error) {
	at := time.Now().UTC().Truncate(time.Second)
	now := make(map[string]bool, len(findings))
	list := a.out.List("SEVERITY", "CHECK", "STREAM", "#VERSION", "DETAIL")
	for _, f := range findings {
		key := f.Check + "\x00" + string(f.StreamID) + "\x00" + string(f.Detail)
		now[key] = true
		if known[key] {
			continue
		}
		if err := addFinding(list, f, at); err != nil {
			return now, err
		}
	}
	if err := list.Flush(); err != nil {
		return now, err
	}
	if len(now) == 0 && (first || len(known) > 0) {
		return now, a.out.Say("%s  clean", output.Time(at))
	}
	return now, nil
}
