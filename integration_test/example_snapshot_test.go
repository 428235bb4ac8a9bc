package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
	"github.com/gaplesspg/gapless/eventstream/snapshot"
)

// docs:start
// account is what a bank decides on.
type account struct {
	Balance int
}

// evolve says what an event does to an account.
func (a account) evolve(e eventstream.Event) (account, error) {
	var moved struct{ Amount int }
	if err := json.Unmarshal(e.Payload, &moved); err != nil {
		return a, err
	}
	a.Balance += moved.Amount
	return a, nil
}

// accounts loads accounts on snapshots, which are made when 100 events have come since the last one.
func accounts(repo *eventstream.Repository) (*snapshot.Store[account], error) {
	return snapshot.New(repo, snapshot.Config[account]{
		Name:          "account",
		SchemaVersion: 1, // 2 as soon as the fields of account, or what evolve makes of an event, are others
		Evolve:        account.evolve,
	})
}

// move decides on the balance, and decides anew if somebody else was faster.
func move(ctx context.Context, accounts *snapshot.Store[account], id eventstream.StreamID, amount int) (account, error) {
	for {
		loaded, err := accounts.LoadOrNew(ctx, id)
		if err != nil {
			return account{}, err
		}
		if loaded.State.Balance+amount < 0 {
			return loaded.State, fmt.Errorf("%s has %d", id, loaded.State.Balance)
		}
		moved, err := eventstream.NewEvent("account.moved", map[string]int{"amount": amount})
		if err != nil {
			return account{}, err
		}
		if _, err := loaded.Stream.AppendEvent(moved); err != nil {
			return account{}, err
		}
		_, err = accounts.Save(ctx, loaded)
		if !errors.Is(err, eventstream.ErrVersionConflict) {
			return loaded.State, err
		}
	}
}

// docs:end

func Example_snapshot() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		store, err := accounts(repo)
		if err != nil {
			return err
		}
		defer store.Close(ctx)
		for range 250 {
			if _, err := move(ctx, store, "account-1", 2); err != nil {
				return err
			}
		}
		if _, err := move(ctx, store, "account-1", -501); err != nil {
			fmt.Println(err)
		}
		if err := store.Flush(ctx); err != nil {
			return err
		}
		loaded, err := store.Load(ctx, "account-1")
		if err != nil {
			return err
		}
		fmt.Println("balance", loaded.State.Balance, "at version", loaded.Stream.CurrentVersion())
		fmt.Println("on a snapshot:", loaded.Snapshot, loaded.Stream.BaseVersion() >= 100)
		return nil
	})
	// Output:
	// account-1 has 500
	// balance 500 at version 250
	// on a snapshot: used true
}

// docs:start
// lamp is the rules of a lamp that is on or off.
func lamp() decider.Decider[string, bool] {
	return decider.Decider[string, bool]{
		Decide: func(command string, on bool) ([]eventstream.Event, error) {
			if on == (command == "on") {
				return nil, nil
			}
			return []eventstream.Event{eventstream.EventOf("lamp.switched", nil)}, nil
		},
		Evolve: func(on bool, _ eventstream.Event) (bool, error) { return !on, nil },
	}
}

// lamps are the snapshots of lamps: Initial and Evolve are those of the rules.
func lamps(repo *eventstream.Repository) (*snapshot.Store[bool], error) {
	return snapshot.New(repo, snapshot.Config[bool]{Name: "lamp", Initial: lamp().Initial, Evolve: lamp().Evolve})
}

// turn carries out a command about a lamp, however often that was switched before.
func turn(ctx context.Context, repo *eventstream.Repository, lamps *snapshot.Store[bool], id eventstream.StreamID, command string) (bool, error) {
	result, err := lamp().Handle(ctx, repo, id, command, decider.WithSnapshots(lamps))
	return result.State, err
}

// docs:end

func Example_snapshotOfADecider() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		store, err := lamps(repo)
		if err != nil {
			return err
		}
		defer store.Close(ctx)
		for n := range 201 {
			if _, err := turn(ctx, repo, store, "lamp-1", []string{"on", "off"}[n%2]); err != nil {
				return err
			}
		}
		if err := store.Flush(ctx); err != nil {
			return err
		}
		on, err := turn(ctx, repo, store, "lamp-1", "on")
		if err != nil {
			return err
		}
		loaded, err := store.Load(ctx, "lamp-1")
		if err != nil {
			return err
		}
		fmt.Println("on:", on, "- after", loaded.Stream.CurrentVersion(), "events, on a snapshot:", loaded.Snapshot == eventstream.SnapshotUsed)
		return nil
	})
	// Output:
	// on: true - after 201 events, on a snapshot: true
}
