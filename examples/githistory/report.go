package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/exampledb"
)

const (
	busiestQuery = `SELECT stream_id, watermark FROM eventstream.streams
WHERE starts_with(stream_id, 'file-') ORDER BY watermark DESC, stream_id LIMIT 5`
	flushQuery = `SELECT current_setting('fsync')::boolean AND current_setting('synchronous_commit') <> 'off'`
	auditQuery = `SELECT * FROM eventstream.audit()`
	// lastEvents is how many events of a stream are shown.
	lastEvents = 5
)

// errAudit is returned after the report when the audit has found something.
var errAudit = errors.New("the audit has found damage, see the rows above")

// busyStream is a row of busiestQuery.
type busyStream struct {
	ID     eventstream.StreamID
	Events int64
}

func writeTotals(w io.Writer, dir string, t totals, took time.Duration, flushed string) {
	events := t.appended + t.duplicates
	fmt.Fprintf(w, "\n%s\n", printable(dir))
	fmt.Fprintf(w, "  commits     %10d  (%d without files: merges, and commits that change none)\n", t.commits, t.empty)
	fmt.Fprintf(w, "  events      %10d  (%d appended, %d duplicate)\n", events, t.appended, t.duplicates)
	fmt.Fprintf(w, "  seconds     %10.1f  (%.0f events per second, %s)\n",
		took.Seconds(), float64(events)/took.Seconds(), flushed)
	if t.split > 0 {
		fmt.Fprintf(w, "  split       %10d  commits with more files than one append takes\n", t.split)
	}
	if t.conflicts > 0 {
		fmt.Fprintf(w, "  conflicts   %10d  appends met a stream further on than expected, and were made at its version\n", t.conflicts)
	}
}

// writeReport shows what the database holds.
func writeReport(ctx context.Context, w io.Writer, pool *pgxpool.Pool) error {
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	count, err := repo.CountStreams(ctx, eventstream.StreamFilter{Category: category})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "  streams     %10d  in the database\n", count)

	busiest, err := busiestStreams(ctx, pool)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe busiest streams:\n")
	for _, s := range busiest {
		fmt.Fprintf(w, "  %8d  %s\n", s.Events, printable(string(s.ID)))
	}
	if len(busiest) > 0 {
		if err := writeStream(ctx, w, repo, busiest[0].ID); err != nil {
			return err
		}
	}
	return writeAudit(ctx, w, pool)
}

// flushing says what the times are worth: a server that does not wait for its disk is faster.
func flushing(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	var waits bool
	err := pool.QueryRow(ctx, flushQuery).Scan(&waits)
	if waits {
		return "every commit flushed to disk", err
	}
	return "commits not flushed to disk: fsync or synchronous_commit is off", err
}

func busiestStreams(ctx context.Context, pool *pgxpool.Pool) ([]busyStream, error) {
	rows, err := pool.Query(ctx, busiestQuery)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[busyStream])
}

// writeStream loads a stream, which goes through Reconstruct and its checks, and shows its last events.
func writeStream(ctx context.Context, w io.Writer, repo *eventstream.Repository, id eventstream.StreamID) error {
	stream, err := repo.Load(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe first of them, loaded and reconstructed:\n  %s\n  %s, version %d, watermark %d, gapless: %t\n",
		printable(string(id)), stream.PartitionKey(), stream.CurrentVersion(), stream.Watermark(), stream.IsGapless())
	for _, event := range stream.EventsFrom(max(1, stream.CurrentVersion()-lastEvents+1)) {
		payload, err := eventstream.DecodePayload[filePayload](event)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %6d  %s  %-12s  %14s  %.10s  %s\n", event.Version, event.OccurredAt.Format(time.DateTime), event.Type,
			lines(payload), payload.Commit, printable(payload.Subject))
	}
	return nil
}

func lines(p filePayload) string {
	if p.LinesAdded == nil || p.LinesRemoved == nil {
		return "binary"
	}
	return fmt.Sprintf("+%d -%d", *p.LinesAdded, *p.LinesRemoved)
}

// writeAudit runs the audit as anybody can: it is one query.
func writeAudit(ctx context.Context, w io.Writer, pool *pgxpool.Pool) error {
	fmt.Fprintf(w, "\nThe audit:\n  %s;\n", auditQuery)
	rows, err := pool.Query(ctx, auditQuery)
	if err != nil {
		return err
	}
	defer rows.Close()
	found := 0
	for ; rows.Next(); found++ {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\n", printable(fmt.Sprint(values...)))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if found > 0 {
		return fmt.Errorf("%w: %d rows", errAudit, found)
	}
	fmt.Fprintln(w, "  clean: no rows")
	return nil
}

const hintQueries = `
  -- what happened last
  SELECT stream_id, version, type, payload->>'subject' AS subject FROM eventstream.events ORDER BY position DESC LIMIT 10;
  -- the files that most lines were added to
  SELECT stream_id, sum((payload->>'lines_added')::bigint) AS added FROM eventstream.events
  GROUP BY stream_id ORDER BY added DESC NULLS LAST LIMIT 10;
  -- history cannot be changed: this is refused
  DELETE FROM eventstream.events WHERE version = 1;
  -- nor can a hole be made: so is this
  INSERT INTO eventstream.events (stream_id, version, event_id, type, payload, partition_id)
  SELECT stream_id, current_version + 2, gen_random_uuid(), 'file.changed', '{}', partition_id
  FROM eventstream.streams LIMIT 1;
`

// writeHints says how to look further.
func writeHints(w io.Writer, store *exampledb.Database, keep bool) {
	fmt.Fprintln(w, "\nTo look further:")
	if !keep && !store.Given {
		fmt.Fprintf(w, "  Run it again with KEEP=1: the database then stays up until Ctrl-C. Now it ends with this program.\n"+
			"  In psql, try:\n%s", hintQueries)
		return
	}
	fmt.Fprintf(w, "  %s\n%s", psql(store.DSN, isSecret(store)), hintQueries)
	if keep {
		fmt.Fprintln(w, "\nThe database stays up. Ctrl-C ends it.")
	}
}

// printable keeps what a repository holds from steering the terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
