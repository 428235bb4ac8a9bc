package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/shred"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// docs:start
// people keeps the names of customers in a table. What was erased, and who was forgotten, goes from it too.
func people(repo *eventstream.Repository) (*subscription.Subscription, error) {
	keep := func(ctx context.Context, tx pgx.Tx, e eventstream.LogEvent) (err error) {
		switch {
		case e.Type == eventstream.ErasedType:
			var erased struct {
				StreamID    string `json:"stream_id"`
				FromVersion int64  `json:"from_version"`
				ToVersion   int64  `json:"to_version"`
			}
			if err := json.Unmarshal(e.Payload, &erased); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `DELETE FROM public.people WHERE customer = $1 AND version BETWEEN $2 AND $3`,
				erased.StreamID, erased.FromVersion, erased.ToVersion)
		case e.Type == "customer.forgotten":
			_, err = tx.Exec(ctx, `DELETE FROM public.people WHERE customer = $1`, e.StreamID)
		case e.Erased: // Whoever reads it after the erasure has nothing to keep.
		default:
			_, err = tx.Exec(ctx, `INSERT INTO public.people (customer, version, name) VALUES ($1, $2, $3::jsonb ->> 'name')`,
				e.StreamID, e.Version, e.Payload)
		}
		return err
	}
	return subscription.New(repo, "people", subscription.EachInTx(keep), &subscription.Config{Filter: eventstream.LogFilter{
		Types: []eventstream.EventType{"customer.named", eventstream.ErasedType, "customer.forgotten"},
	}})
}

// docs:end

// docs:start
// forgetAndTell forgets a customer and says so in the log. Call it again until it succeeds: a subject is forgotten once, and the id of the
// event follows from the record of that, so it is appended once.
func forgetAndTell(ctx context.Context, vault *shred.Vault, repo *eventstream.Repository, r shred.Request) error {
	record, err := vault.Forget(ctx, r)
	if err != nil {
		return err
	}
	told := eventstream.EventOf("customer.forgotten", map[string]string{"reason": record.Reason},
		eventstream.WithEventID(uuid.NewSHA1(record.KeyID, []byte("told"))))
	_, err = repo.Append(ctx, eventstream.StreamID(record.Subject), eventstream.Any, told)
	return err
}

// docs:end

func tellPeople(ctx context.Context, pool *pgxpool.Pool) (err error) {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE public.people (customer text, version bigint, name text, PRIMARY KEY (customer, version))`); err != nil {
		return err
	}
	_, vault, err := customers(pool, []byte(strings.Repeat("k", 32)), &strings.Builder{})
	if err != nil {
		return err
	}
	subscriber, err := people(repo)
	if err != nil {
		return err
	}
	stop := runInBackground(ctx, subscriber)
	defer func() { err = errors.Join(err, stop()) }()
	show := func() error {
		var position int64
		var names string
		if err := pool.QueryRow(ctx, `SELECT eventstream.last_position()`).Scan(&position); err != nil {
			return err
		}
		if err := subscriber.WaitFor(ctx, position); err != nil {
			return err
		}
		err := pool.QueryRow(ctx, `SELECT coalesce(string_agg(name, ', ' ORDER BY name), 'nobody') FROM public.people`).Scan(&names)
		fmt.Println(names)
		return err
	}
	for _, name := range []string{"Ada", "Countess", "Grace"} {
		id := eventstream.StreamID("customer-7")
		if name == "Grace" {
			id = "customer-8"
		}
		if _, err := exampleAppend(ctx, repo, id, "customer.named", map[string]string{"name": name}); err != nil {
			return err
		}
	}
	if err := show(); err != nil {
		return err
	}
	// docs:start
	_, err = repo.Erase(ctx, eventstream.Erasure{StreamID: "customer-7", From: 1, To: 1, Reason: "request 17"})
	if err != nil {
		return err
	}
	for e, err := range repo.ReadLog(ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Types: []eventstream.EventType{eventstream.ErasedType}}}) {
		if err != nil {
			return err
		}
		fmt.Printf("%s, version %d: %s %s\n", e.StreamID, e.Version, e.Type, e.Payload)
	}
	// docs:end
	if err := show(); err != nil {
		return err
	}
	for range 2 {
		if err := forgetAndTell(ctx, vault, repo, shred.Request{Subject: "customer-8", Reason: "request 18"}); err != nil {
			return err
		}
	}
	if err := show(); err != nil {
		return err
	}
	var told int
	err = pool.QueryRow(ctx, `SELECT count(*) FROM eventstream.events WHERE type = 'customer.forgotten'`).Scan(&told)
	fmt.Println("told:", told)
	return err
}

func Example_erased() {
	runExample(tellPeople)
	// Output:
	// Ada, Countess, Grace
	// $erasures-default-8, version 1: $erased {"events": 1, "stream_id": "customer-7", "to_version": 1, "from_version": 1}
	// Countess, Grace
	// Countess
	// told: 1
}
