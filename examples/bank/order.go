package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// order is what a customer asks of a teller, as a line of JSON: a transfer or, without an amount, the balance of From.
type order struct {
	// ID is the customer's own: an order that got no answer is given again, to whoever is there, and counts once.
	ID uuid.UUID `json:"id"`
	transfer
}

// answer is what became of it, as a line of JSON.
type answer struct {
	ID uuid.UUID `json:"id"`
	// Done says that the transfer was made, now or before; Repeated that it was before.
	Done     bool `json:"done,omitzero"`
	Repeated bool `json:"repeated,omitzero"`
	// FromVersion and ToVersion are the versions of the accounts that it led to, or that of From in which it was refused or looked at.
	FromVersion int64 `json:"from_version,omitzero"`
	ToVersion   int64 `json:"to_version,omitzero"`
	// Balance is that of From where it was refused or looked at.
	Balance int64 `json:"balance,omitzero"`
	// Tries is how often it was decided.
	Tries int `json:"tries,omitzero"`
	// Failed says why nobody knows what became of it: it is to be given again.
	Failed string `json:"failed,omitzero"`
}

// tries is how often a transfer is decided while others are faster. Here many customers meet at few accounts.
const tries = 200

// serve does what an order asks for.
func serve(ctx context.Context, repo *eventstream.Repository, o order) answer {
	a := answer{ID: o.ID}
	if o.Amount == 0 {
		result, err := accounts().Handle(ctx, repo, o.From, look{})
		if err != nil {
			a.Failed = err.Error()
		}
		a.FromVersion, a.Balance = result.State.Events, result.State.Balance
		return a
	}
	result, err := transfers().HandleAcross(ctx, repo, []eventstream.StreamID{o.From, o.To}, o.transfer,
		decider.WithCommandID(o.ID), decider.WithTries(tries), decider.WithBackoff(time.Millisecond, 20*time.Millisecond))
	a.Tries = result.Tries
	switch {
	case errors.Is(err, errTooLow):
		from := result.State.Of(o.From)
		a.FromVersion, a.Balance = from.Events, from.Balance
	case err != nil:
		a.Failed = err.Error()
	default:
		a.Done, a.Repeated = true, result.Duplicate
		for _, e := range result.Events {
			if e.StreamID == o.From {
				a.FromVersion = e.Version
			} else {
				a.ToVersion = e.Version
			}
		}
	}
	return a
}
