package listing

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/bench/internal/report"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// callsToSettle is enough for PostgreSQL to settle on a plan: five calls are planned for their values, the sixth may be for any.
	callsToSettle = 7
	// maxPlans of a call are shown: a function may run a statement for each row.
	maxPlans = 4

	// explainAll makes the server send the plan of each statement as a notice: that of the very session, and of statements in functions.
	explainAll = `
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
SET auto_explain.log_buffers = on;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_level = notice`
)

// explain gives the plan of each case.
func (b *benchmark) explain(ctx context.Context, all []listCase) (notes []report.Note, err error) {
	config, err := pgx.ParseConfig(b.DSN)
	if err != nil {
		return nil, err
	}
	var plans []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if plan, found := planOf(n.Message); found {
			plans = append(plans, plan)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, explainAll); err != nil {
		return nil, err
	}
	repo, err := eventstream.NewRepository(conn, b.config())
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		for range callsToSettle {
			plans = nil
			if _, err := c.ask(ctx, target{conn, repo}); err != nil {
				return nil, err
			}
		}
		notes = append(notes, report.Note{Title: "Plan of " + c.name, Text: strings.Join(plans[:min(len(plans), maxPlans)], "\n\n")})
	}
	return notes, nil
}

// behindAll matches the end of all ids, which a listing without a category gives.
var behindAll = regexp.MustCompile("\U0010FFFF+")

// planOf takes the plan out of a notice, which has the statement before it.
func planOf(notice string) (plan string, found bool) {
	if !strings.HasPrefix(notice, "duration:") {
		return "", false
	}
	lines := strings.Split(notice, "\n")
	for i, line := range lines {
		if strings.Contains(line, "(cost=") {
			return behindAll.ReplaceAllString(strings.Join(lines[i:], "\n"), "..."), true
		}
	}
	return "", false
}
