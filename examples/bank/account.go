package main

import (
	"errors"
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// category is what the ids of all accounts start with, up to the dash.
const category = "account"

// The types of an account's events.
const (
	opened   = "account.opened"
	sent     = "account.sent"
	received = "account.received"
)

// moved is what happened to an account: it was opened with an amount, or an amount was sent or received.
type moved struct {
	kind string
	// Amount is what it adds to the balance, in cents: below zero for what goes out.
	Amount int64 `json:"amount"`
	// Other is the account at the other end of a transfer.
	Other eventstream.StreamID `json:"other,omitzero"`
}

func encode(m moved) (eventstream.Event, error) { return eventstream.NewEvent(m.kind, m) }

func decode(e eventstream.Event) (moved, error) {
	m, err := eventstream.DecodePayload[moved](e)
	m.kind = string(e.Type)
	return m, err
}

// account is the state of one.
type account struct {
	Opened  bool
	Balance int64
	// Events is how many there were.
	Events int64
}

// What the rules say no with.
var (
	errOpen    = errors.New("the account is open already")
	errNotOpen = errors.New("no such account")
	errTooLow  = errors.New("the balance is too low")
)

// open is the command to open an account with a deposit; look is one that does nothing.
type (
	open struct{ deposit int64 }
	look struct{}
)

// accounts are the rules of one account.
func accounts() decider.Decider[any, account] {
	return decider.Typed[any, account, moved]{
		Decide: func(command any, a account) ([]moved, error) {
			switch c := command.(type) {
			case open:
				if a.Opened {
					return nil, errOpen
				}
				return []moved{{kind: opened, Amount: c.deposit}}, nil
			case look:
				return nil, nil
			}
			return nil, fmt.Errorf("unknown command %T", command)
		},
		Evolve: func(a account, m moved) account {
			return account{Opened: true, Balance: a.Balance + m.Amount, Events: a.Events + 1}
		},
		Encode: encode,
		Decode: decode,
	}.Decider()
}

// transfer is the command to move money.
type transfer struct {
	From   eventstream.StreamID `json:"from"`
	To     eventstream.StreamID `json:"to,omitzero"`
	Amount int64                `json:"amount,omitzero"`
}

// transfers are the rules for two accounts at once: one decision, whose two events are both there or none.
func transfers() decider.Decider[transfer, decider.Streams[account]] {
	return decider.Together(accounts(), func(t transfer, all decider.Streams[account]) ([]eventstream.Event, error) {
		from, to := all.Of(t.From), all.Of(t.To)
		switch {
		case !from.Opened || !to.Opened:
			return nil, errNotOpen
		case from.Balance < t.Amount:
			return nil, errTooLow
		}
		out, err := encode(moved{kind: sent, Amount: -t.Amount, Other: t.To})
		if err != nil {
			return nil, err
		}
		in, err := encode(moved{kind: received, Amount: t.Amount, Other: t.From})
		return append(decider.On(t.From, out), decider.On(t.To, in)...), err
	})
}

func accountID(n int) eventstream.StreamID {
	return eventstream.StreamID(fmt.Sprintf("%s-%05d", category, n))
}

// euros shows cents.
func euros(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}
