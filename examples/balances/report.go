package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// recountQuery is the accounts whose balance differs from their events; none, if all is well.
const recountQuery = `
SELECT coalesce(a.account, e.account) AS account,
    coalesce(a.balance, 0) AS balance, coalesce(e.balance, 0) AS recount,
    coalesce(a.events, 0) AS projected, coalesce(e.events, 0) AS stored
FROM balances.accounts AS a
FULL JOIN (
    SELECT stream_id::text AS account, sum((payload ->> 'amount')::bigint)::bigint AS balance, count(*) AS events
    FROM eventstream.events
    WHERE eventstream.category(stream_id) = 'account'
    GROUP BY stream_id
) AS e ON e.account = a.account
WHERE (a.balance, a.events) IS DISTINCT FROM (e.balance, e.events)
ORDER BY account`

const totalsQuery = `
SELECT count(*), sum(balance)::bigint, sum(events)::bigint, (SELECT last_value FROM balances.handed_out)
FROM balances.accounts`

// errWrong is returned after the report when the balances are not what the events say, or the audit found something.
var errWrong = errors.New("wrong, see above")

// difference is a row of recountQuery.
type difference struct {
	Account                             string
	Balance, Recount, Projected, Stored int64
}

// writeReport compares the balances with what the events say.
func writeReport(ctx context.Context, w io.Writer, db eventstream.Handle, repo *eventstream.Repository) error {
	if err := writeCheckpoints(ctx, w, repo); err != nil {
		return err
	}
	var accounts, cents, events, handedOut int64
	if err := db.QueryRow(ctx, totalsQuery).Scan(&accounts, &cents, &events, &handedOut); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe projection: %d accounts with %s in all, from %d events.\n", accounts, euros(cents), events)
	fmt.Fprintf(w, "It was handed %d events: %d were rolled back with a killed process, and handed out again.\n",
		handedOut, handedOut-events)

	inSQL, err := recountInSQL(ctx, w, db)
	if err != nil {
		return err
	}
	inGo, err := recountInGo(ctx, w, db, repo)
	if err != nil {
		return err
	}
	findings, err := repo.Audit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nRecount in SQL: %s\nRecount in Go, from every stream reconstructed: %s\nAudit of the store: %s\n",
		verdict(inSQL), verdict(inGo), verdict(len(findings)))
	if wrong := inSQL + inGo + len(findings); wrong > 0 {
		return fmt.Errorf("%w: %d differences", errWrong, wrong)
	}
	fmt.Fprintln(w, "\nEvery event was projected exactly once.")
	return nil
}

func verdict(wrong int) string {
	if wrong == 0 {
		return "no difference"
	}
	return fmt.Sprintf("%d DIFFERENCES", wrong)
}

// writeCheckpoints shows how far each shard is, as eventstream.audit_subscriptions does in SQL.
func writeCheckpoints(ctx context.Context, w io.Writer, repo *eventstream.Repository) error {
	head, err := repo.LogHead(ctx)
	if err != nil {
		return err
	}
	lags, err := subscription.List(ctx, repo)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe log has %d events, and is stable up to position %d. The shards of the projection:\n", head.Sequence, head.Position)
	fmt.Fprintf(w, "  %5s  %10s  %8s  %10s  %10s\n", "shard", "checkpoint", "handled", "lag events", "lag time")
	for _, l := range lags {
		if l.Subscription == projection {
			fmt.Fprintf(w, "  %5d  %10d  %8d  %10d  %10s\n", l.Shard, l.Position, l.Handled, l.Events, l.Age.Round(time.Millisecond))
		}
	}
	return nil
}

// recountInSQL counts from the events as anybody can in psql, and shows what differs.
func recountInSQL(ctx context.Context, w io.Writer, db eventstream.Handle) (int, error) {
	rows, err := db.Query(ctx, recountQuery)
	if err != nil {
		return 0, err
	}
	differences, err := pgx.CollectRows(rows, pgx.RowToStructByPos[difference])
	for _, d := range differences {
		fmt.Fprintf(w, "  %s: %s after %d events, but %s after %d in the log\n",
			d.Account, euros(d.Balance), d.Projected, euros(d.Recount), d.Stored)
	}
	return len(differences), err
}

// recountInGo loads every account, which goes through Reconstruct and its checks, and shows what differs.
func recountInGo(ctx context.Context, w io.Writer, db eventstream.Handle, repo *eventstream.Repository) (int, error) {
	rows, err := db.Query(ctx, `SELECT account, balance FROM balances.accounts`)
	if err != nil {
		return 0, err
	}
	projected := map[eventstream.StreamID]int64{}
	var id string
	var cents int64
	_, err = pgx.ForEachRow(rows, []any{&id, &cents}, func() error {
		projected[eventstream.StreamID(id)] = cents
		return nil
	})
	if err != nil {
		return 0, err
	}
	wrong := 0
	for head, err := range repo.Streams(ctx, eventstream.StreamFilter{Category: category}) {
		if err != nil {
			return wrong, err
		}
		account, err := repo.Load(ctx, head.StreamID)
		if err != nil {
			return wrong, err
		}
		recount, err := balance(account)
		if err != nil {
			return wrong, err
		}
		if recount != projected[head.StreamID] || recount < 0 {
			wrong++
			fmt.Fprintf(w, "  %s: %s, but %s reconstructed\n", head.StreamID, euros(projected[head.StreamID]), euros(recount))
		}
		delete(projected, head.StreamID)
	}
	return wrong + len(projected), nil
}
