package main

import (
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
)

// category is what the ids of all accounts start with, up to the dash.
const category = "account"

// The types of an account's events.
const (
	opened      = "account.opened"
	deposited   = "account.deposited"
	withdrawn   = "account.withdrawn"
	transferred = "account.transferred"
)

// change is the payload of all of them.
type change struct {
	// Amount is what the event adds to the balance, in cents: below zero for what goes out.
	Amount int64 `json:"amount"`
	// Other is the account at the other end of a transfer.
	Other eventstream.StreamID `json:"other,omitzero"`
}

func accountID(n int) eventstream.StreamID {
	return eventstream.StreamID(fmt.Sprintf("%s-%05d", category, n))
}

// balance folds an account's history into what it holds.
func balance(account *eventstream.EventStream) (int64, error) {
	var cents int64
	for _, event := range account.EventsFrom(1) {
		c, err := eventstream.DecodePayload[change](event)
		if err != nil {
			return 0, err
		}
		cents += c.Amount
	}
	return cents, nil
}

// euros shows cents.
func euros(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}
