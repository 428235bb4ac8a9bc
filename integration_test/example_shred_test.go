package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/decider"
	"github.com/gaplesspg/gapless/eventstream/shred"
)

// docs:start
// Registered says that somebody has become a customer. The name is encrypted with the customer's key; the rest is not.
type Registered struct {
	Customer  string          `json:"customer" shred:"subject"`
	Name      string          `json:"name" shred:"personal"`
	Plan      string          `json:"plan"`
	Forgotten shred.Forgotten `json:"-"`
}

// customers makes what reads and writes events about customers, and what forgets them. The master key comes from where no backup of the
// database is, and records of who was forgotten go to a file that no restore of the database touches.
func customers(pool *pgxpool.Pool, masterKey []byte, records io.Writer) (*shred.Codec, *shred.Vault, error) {
	master, err := shred.MasterKeys(masterKey)
	if err != nil {
		return nil, nil, err
	}
	vault, err := shred.NewVault(shred.PostgresKeys(pool), master, &shred.Config{
		BeforeForget: func(_ context.Context, r shred.Record) error { return json.NewEncoder(records).Encode(r) },
	})
	if err != nil {
		return nil, nil, err
	}
	registry, err := codec.New(codec.Event[Registered]("customer.registered"))
	if err != nil {
		return nil, nil, err
	}
	c, err := shred.NewCodec(vault, registry)
	return c, vault, err
}

// docs:end

func registerAndForget(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	var records strings.Builder
	c, vault, err := customers(pool, []byte(strings.Repeat("k", 32)), &records)
	if err != nil {
		return err
	}
	read := func() error {
		for value, err := range c.Values(ctx, repo.Read(ctx, "customer-7", eventstream.ReadOptions{})) {
			if err != nil {
				return err
			}
			fmt.Printf("%+v\n", value)
		}
		return nil
	}
	// docs:start
	_, err = c.Append(ctx, repo, "customer-7", eventstream.Any, Registered{Customer: "customer-7", Name: "Ada Lovelace", Plan: "gold"})
	if err != nil {
		return err
	}
	if err := read(); err != nil {
		return err
	}
	_, err = vault.Forget(ctx, shred.Request{Subject: "customer-7", Reason: "asked to be forgotten, ticket 4711", By: "support"})
	if err != nil {
		return err
	}
	if err := read(); err != nil {
		return err
	}
	_, err = c.Append(ctx, repo, "customer-7", eventstream.Any, Registered{Customer: "customer-7", Name: "Ada"})
	fmt.Println("refused:", errors.Is(err, shred.ErrForgotten))
	// docs:end
	fmt.Println("records:", strings.Count(records.String(), "\n"))
	return nil
}

// registerOnce handles one command twice.
func registerOnce(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	c, _, err := customers(pool, []byte(strings.Repeat("k", 32)), io.Discard)
	if err != nil {
		return err
	}
	command := uuid.New()
	// docs:start
	ids := func(n int) uuid.UUID { return decider.EventID(command, "customer-7", n) }
	register := decider.Decider[Registered, int]{
		Decide: shred.DecideUnder(ctx, c, "customer-7", ids, func(r Registered, known int) ([]any, error) {
			if known > 0 {
				return nil, errors.New("registered already")
			}
			return []any{r}, nil
		}),
		Evolve: shred.Evolve(ctx, c, func(known int, _ any) int { return known + 1 }),
	}
	customer := Registered{Customer: "customer-7", Name: "Ada Lovelace", Plan: "gold"}
	for range 2 {
		result, err := register.Handle(ctx, repo, "customer-7", customer, decider.WithCommandID(command))
		if err != nil {
			return err
		}
		fmt.Println("events:", len(result.Events), "handled before:", result.Duplicate)
	}
	// docs:end
	return nil
}

func Example_shredCommand() {
	runExample(registerOnce)
	// Output:
	// events: 1 handled before: false
	// events: 1 handled before: true
}

func Example_shred() {
	runExample(registerAndForget)
	// Output:
	// {Customer:customer-7 Name:Ada Lovelace Plan:gold Forgotten:[]}
	// {Customer:customer-7 Name: Plan:gold Forgotten:[/name]}
	// refused: true
	// records: 1
}
