package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// docs:start
// runAll runs what the process has of subscriptions and projections until ctx ends, and tells on /healthz how they are.
func runAll(ctx context.Context, mux *http.ServeMux, jobs ...subscription.Job) error {
	runner := &subscription.Runner{Jobs: jobs}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := runner.Healthy(r.Context(), time.Minute); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return runner.Run(ctx)
}

// docs:end

// One of two subscriptions fails for good: the other one goes on, and health says which it is.
func runTwo(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	last, err := exampleAppend(ctx, repo, "order-1", "order.placed", nil)
	if err != nil {
		return err
	}
	quiet := &subscription.Config{Observer: func(subscription.Observation) {}}
	totals, err := subscription.New(repo, "totals", subscription.TxHandler(
		func(context.Context, pgx.Tx, []eventstream.LogEvent) error { return nil }), quiet)
	if err != nil {
		return err
	}
	mails, err := subscription.New(repo, "mails", subscription.EachEvent(func(context.Context, eventstream.LogEvent) error {
		return subscription.Permanent(errors.New("no such address"))
	}), quiet)
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runAll(running, mux, totals, mails) }()
	for ctx.Err() == nil {
		health := httptest.NewRecorder()
		mux.ServeHTTP(health, httptest.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil))
		if said := health.Body.String(); strings.Contains(said, "for good") {
			fmt.Println(health.Code, said[:strings.Index(said, " on the event")])
			break
		}
	}
	if err := totals.WaitFor(ctx, last.LastPosition); err != nil {
		return err
	}
	fmt.Println("totals went on")
	stop()
	var failed *subscription.HandlerError
	fmt.Println("in the end:", errors.As(<-ended, &failed), failed.Err)
	return nil
}

func Example_runner() {
	runExample(runTwo)
	// Output:
	// 503 "mails" failed for good: handler of subscription "mails" failed 1 times
	// totals went on
	// in the end: true no such address
}
