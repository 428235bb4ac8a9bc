package otelgapless

import (
	"context"
	"errors"

	"github.com/gaplesspg/gapless/eventstream"
)

// Outcomes of more than appends.
const (
	outcomeDone     = "done"
	outcomeCanceled = "canceled"
	outcomeError    = "error"
)

// refusals are answers of the store that callers reckon with.
var refusals = []struct {
	is      error
	outcome string
}{
	{eventstream.ErrStreamExists, "stream_exists"}, // which is a version conflict too
	{eventstream.ErrStreamMissing, "stream_missing"},
	{eventstream.ErrVersionConflict, "version_conflict"},
	{eventstream.ErrTenantMismatch, "tenant_mismatch"},
	{eventstream.ErrGap, "gap"},
	{eventstream.ErrDecisionConflict, "decision_conflict"},
}

// appendOutcome says in a word how an append ended, and whether that is a failure rather than an answer. That of several requests is the
// first one that was refused.
func appendOutcome(results []eventstream.AppendResult, err error) (outcome string, failed bool) {
	if err == nil {
		for _, result := range results {
			if !result.Duplicate {
				return "appended", false
			}
		}
		return "duplicate", false
	}
	for _, refusal := range refusals {
		if errors.Is(err, refusal.is) {
			return refusal.outcome, false
		}
	}
	switch {
	case errors.Is(err, eventstream.ErrInvalidValue):
		return "invalid", true
	case errors.Is(err, eventstream.ErrEventIDConflict):
		return "event_id_conflict", true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return outcomeCanceled, false
	}
	return outcomeError, true
}

// intakeOutcome says the same of an Ingest or an Import.
func intakeOutcome(err error) (outcome string, failed bool) {
	if err == nil {
		return outcomeDone, false
	}
	return appendOutcome(nil, err)
}
