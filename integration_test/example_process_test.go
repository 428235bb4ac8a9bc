package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// docs:start
// fulfilment is what the process knows of an order.
type fulfilment struct {
	Items int
}

// fulfil ships an order once it is paid, and cancels it if that takes too long.
func fulfil(repo *eventstream.Repository, patience time.Duration) (*process.Manager[fulfilment], error) {
	return process.NewManager(repo, process.Process[fulfilment]{
		Name: "fulfilment",
		Key:  func(event eventstream.LogEvent) string { return string(event.StreamID) },
		On: func(ctx context.Context, step *process.Step[fulfilment], event eventstream.LogEvent) error {
			order := event.StreamID
			switch event.Type {
			case "order.item-added":
				step.State.Items++
			case "order.placed":
				return step.After(ctx, "unpaid", patience, nil)
			case "order.paid":
				shipped, err := eventstream.NewEvent("parcel.shipped", map[string]int{"items": step.State.Items})
				if err != nil {
					return err
				}
				step.End() // with its timer
				_, err = step.Append(ctx, "ship", "parcel-"+order, eventstream.Empty, shipped)
				return err
			}
			return nil
		},
		OnTimer: func(ctx context.Context, step *process.Step[fulfilment], _ process.Timer) error {
			cancelled, err := eventstream.NewEvent("order.cancelled", nil)
			if err != nil {
				return err
			}
			step.End()
			_, err = step.Append(ctx, "cancel", eventstream.StreamID(step.Key), eventstream.Exists, cancelled)
			return err
		},
		Config: &subscription.Config{
			Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.item-added", "order.placed", "order.paid"}},
		},
	})
}

// docs:end

// awaitEvent waits until a stream has an event of a type, and prints it.
func awaitEvent(ctx context.Context, repo *eventstream.Repository, id eventstream.StreamID, kind eventstream.EventType) error {
	for ctx.Err() == nil {
		for event, err := range repo.Read(ctx, id, eventstream.ReadOptions{}) {
			if err != nil && !errors.Is(err, eventstream.ErrStreamNotFound) {
				return err
			}
			if err == nil && event.Type == kind {
				fmt.Println(id, event.Type, string(event.Payload))
				return nil
			}
		}
	}
	return ctx.Err()
}

func processManager(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	m, err := fulfil(repo, 100*time.Millisecond)
	if err != nil {
		return err
	}
	for _, order := range []eventstream.StreamID{"order-1", "order-2"} {
		for _, kind := range []string{"order.item-added", "order.item-added", "order.placed"} {
			if _, err := exampleAppend(ctx, repo, order, kind, nil); err != nil {
				return err
			}
		}
	}
	if _, err := exampleAppend(ctx, repo, "order-1", "order.paid", nil); err != nil {
		return err
	}
	stop := runInBackground(ctx, m)
	return errors.Join(
		awaitEvent(ctx, repo, "parcel-order-1", "parcel.shipped"), awaitEvent(ctx, repo, "order-2", "order.cancelled"), stop())
}

func Example_processManager() {
	runExample(processManager)
	// Output:
	// parcel-order-1 parcel.shipped {"items": 2}
	// order-2 order.cancelled null
}

// docs:start
// remind sets a timer in the transaction that also writes the row it is about: both are there, or neither.
func remind(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, invoice string, in time.Duration) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO public.invoices (id) VALUES ($1)`, invoice); err != nil {
			return err
		}
		ref := process.TimerRef{Process: "invoices", Key: invoice, Name: "remind"}
		return process.After(ctx, repo.WithTx(tx), ref, in, map[string]int{"level": 1})
	})
}

// reminders handles these timers: what it writes through tx is there exactly once, whoever runs it and whenever they die.
func reminders(repo *eventstream.Repository) (*process.Timers, error) {
	handle := func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		_, err := tx.Exec(ctx, `UPDATE public.invoices SET reminders = reminders + 1 WHERE id = $1`, timer.Key)
		return err
	}
	return process.NewTimers(repo, "invoices", handle, nil)
}

// docs:end

func timers(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE public.invoices (id text PRIMARY KEY, reminders integer NOT NULL DEFAULT 0)`); err != nil {
		return err
	}
	if err := errors.Join(remind(ctx, pool, repo, "invoice-1", 0), remind(ctx, pool, repo, "invoice-2", time.Hour)); err != nil {
		return err
	}
	handler, err := reminders(repo)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- handler.Run(running) }()
	for sent := 0; sent == 0 && ctx.Err() == nil; {
		if err := pool.QueryRow(ctx, `SELECT sum(reminders) FROM public.invoices`).Scan(&sent); err != nil {
			return err
		}
	}
	cancel()
	for timer, err := range process.List(ctx, repo, "invoices") {
		if err != nil {
			return err
		}
		fmt.Println(timer.Key, "waits")
	}
	return <-ended
}

func Example_timers() {
	runExample(timers)
	// Output:
	// invoice-2 waits
}

// docs:start
// receive is the other side of a webhook, in Go: it believes nothing but what is signed, and does nothing twice.
func receive(secret string, handle func(id string, body []byte)) (http.Handler, error) {
	verifier, err := process.NewWebhookVerifier(secret)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{} // in a database, with a unique key, in the transaction of what it does
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, id, err := verifier.Request(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if !known[id] {
			handle(id, body)
			known[id] = true
		}
		w.WriteHeader(http.StatusNoContent)
	}), nil
}

// webhooks posts every order that is placed to a URL.
func webhooks(repo *eventstream.Repository, url, secret string) (*subscription.Subscription, error) {
	hook, err := process.NewWebhook(url, secret, nil)
	if err != nil {
		return nil, err
	}
	return process.NewOutbox(repo, "webhooks", hook, &subscription.Config{
		Filter:    eventstream.LogFilter{Types: []eventstream.EventType{"order.placed"}},
		OnFailure: subscription.ParkStream,
	})
}

// docs:end

func webhook(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	secret := process.NewWebhookSecret()
	handler, err := receive(secret, func(_ string, body []byte) {
		var event eventstream.LogEvent
		fmt.Println("received:", event.UnmarshalJSON(body) == nil, event.StreamID, event.Type)
	})
	if err != nil {
		return err
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	s, err := webhooks(repo, server.URL, secret)
	if err != nil {
		return err
	}
	stop := runInBackground(ctx, s)
	placed, err := exampleAppend(ctx, repo, "order-1", "order.placed", nil)
	if err != nil {
		return errors.Join(err, stop())
	}
	return errors.Join(s.WaitFor(ctx, placed.LastPosition), stop())
}

func Example_webhook() {
	runExample(webhook)
	// Output:
	// received: true order-1 order.placed
}
