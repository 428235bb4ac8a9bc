package integration_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// docs:start
// balanceChanged is what happens to an account: an amount comes in, or below zero goes out.
type balanceChanged struct {
	Amount int64 `json:"amount"`
}

var errBalanceTooLow = errors.New("the balance is too low")

// accountRules is the rules: a command is an amount, the state is the balance.
func accountRules() decider.Decider[int64, int64] {
	return decider.Typed[int64, int64, balanceChanged]{
		Decide: func(amount, balance int64) ([]balanceChanged, error) {
			if balance+amount < 0 {
				return nil, errBalanceTooLow
			}
			return []balanceChanged{{amount}}, nil
		},
		Evolve: func(balance int64, e balanceChanged) int64 { return balance + e.Amount },
		Encode: func(e balanceChanged) (eventstream.Event, error) { return eventstream.NewEvent("account.changed", e) },
		Decode: eventstream.DecodePayload[balanceChanged],
	}.Decider()
}

// docs:end

// docs:start
// payOut takes an amount out. A client that gets no answer sends the request again, with its id.
func payOut(ctx context.Context, repo *eventstream.Repository, id eventstream.StreamID, request uuid.UUID, amount int64) error {
	result, err := accountRules().Handle(ctx, repo, id, -amount, decider.WithCommandID(request))
	if errors.Is(err, errBalanceTooLow) {
		fmt.Println("refused:", err)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("balance", result.State, "- a duplicate:", result.Duplicate)
	return nil
}

// docs:end

// docs:start
// transferRules is the rules for two accounts: what goes out of one comes into the other, or nothing happens.
func transferRules(from, to eventstream.StreamID) decider.Decider[int64, decider.Streams[int64]] {
	return decider.Together(accountRules(), func(amount int64, balances decider.Streams[int64]) ([]eventstream.Event, error) {
		out, err := accountRules().Decide(-amount, balances.Of(from))
		if err != nil {
			return nil, err
		}
		in, err := accountRules().Decide(amount, balances.Of(to))
		return append(decider.On(from, out...), decider.On(to, in...)...), err
	})
}

// docs:end

func Example_decider() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		if _, err := accountRules().Handle(ctx, repo, "account-1", 100); err != nil {
			return err
		}
		first, second := uuid.New(), uuid.New()
		for _, request := range []uuid.UUID{first, second, first} {
			if err := payOut(ctx, repo, "account-1", request, 60); err != nil {
				return err
			}
		}
		result, err := transferRules("account-1", "account-2").HandleAcross(ctx, repo, []eventstream.StreamID{"account-1", "account-2"}, 15)
		fmt.Println(result.State.Of("account-1"), result.State.Of("account-2"))
		return err
	})
	// Output:
	// balance 40 - a duplicate: false
	// refused: the balance is too low
	// balance 40 - a duplicate: true
	// 25 15
}
