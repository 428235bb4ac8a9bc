package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

// recountQuery is the accounts whose projected balance differs from their events; none, if all is well.
const recountQuery = `
SELECT coalesce(a.account, e.account) AS account,
    coalesce(a.balance, 0) AS balance, coalesce(e.balance, 0) AS recount,
    coalesce(a.events, 0) AS projected, coalesce(e.events, 0) AS stored
FROM bank.accounts AS a
FULL JOIN (
    SELECT stream_id::text AS account, sum((payload ->> 'amount')::bigint)::bigint AS balance, count(*) AS events
    FROM eventstream.events
    WHERE eventstream.category(stream_id) = 'account'
    GROUP BY stream_id
) AS e ON e.account = a.account
WHERE (a.balance, a.events) IS DISTINCT FROM (e.balance, e.events) OR e.balance < 0
ORDER BY account`

// moneyQuery is what was paid in when accounts were opened, and what there is.
const moneyQuery = `
SELECT coalesce(sum((payload ->> 'amount')::bigint) FILTER (WHERE type = 'account.opened'), 0)::bigint,
    coalesce(sum((payload ->> 'amount')::bigint), 0)::bigint
FROM eventstream.events
WHERE eventstream.category(stream_id) = 'account'`

// errWrong is returned after the report when money was made or lost, the projection is not what the events say, or the audit found something.
var errWrong = errors.New("wrong, see above")

// difference is a row of recountQuery.
type difference struct {
	Account                             string
	Balance, Recount, Projected, Stored int64
}

// writeHistory says what the customers have seen.
func writeHistory(w io.Writer, o options, history []operation, kills int) {
	var done, refused, looked, again, repeated, decided int
	for _, op := range history {
		switch {
		case op.asked.Amount == 0:
			looked++
		case op.got.Done:
			done++
		default:
			refused++
		}
		if op.times > 1 {
			again++
		}
		if op.got.Repeated {
			repeated++
		}
		decided += op.got.Tries
	}
	fmt.Fprintf(w, "\n%d orders of %d customers at once: %d transfers made, %d refused for a low balance, %d balances asked for.\n",
		len(history), o.customers, done, refused, looked)
	fmt.Fprintf(w, "Others were faster %d times, and the transfer was decided again.\n", max(0, decided-done-refused+repeated))
	fmt.Fprintf(w, "%d tellers were killed. %d orders got no answer and were given again; %d of these had been carried out, and were not twice.\n",
		kills, again, repeated)
}

// writeReport compares what there is with what the events say.
func writeReport(ctx context.Context, w io.Writer, db eventstream.Handle, repo *eventstream.Repository) error {
	var paidIn, there int64
	if err := db.QueryRow(ctx, moneyQuery).Scan(&paidIn, &there); err != nil {
		return err
	}
	rows, err := db.Query(ctx, recountQuery)
	if err != nil {
		return err
	}
	differences, err := pgx.CollectRows(rows, pgx.RowToStructByPos[difference])
	if err != nil {
		return err
	}
	for _, d := range differences {
		fmt.Fprintf(w, "  %s: %s after %d events, but %s after %d in the log\n",
			d.Account, euros(d.Balance), d.Projected, euros(d.Recount), d.Stored)
	}
	findings, err := repo.Audit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nPaid in: %s. On all accounts: %s.\nRecount of the projection: %s\nAudit of the store: %s\n",
		euros(paidIn), euros(there), verdict(len(differences)), verdict(len(findings)))
	wrong := len(differences) + len(findings)
	if paidIn != there {
		wrong++
	}
	if wrong > 0 {
		return fmt.Errorf("%w: %d differences", errWrong, wrong)
	}
	fmt.Fprintln(w, "\nNo cent was made or lost.")
	return nil
}

func verdict(wrong int) string {
	if wrong == 0 {
		return "no difference"
	}
	return fmt.Sprintf("%d DIFFERENCES", wrong)
}
