package process

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/isolation"
)

// TimerRef names a timer. Each part has 1 to 128 bytes, no control characters, and no white space at either end.
type TimerRef struct {
	// Process is whose timer it is: the name that a Timers or a Manager runs under.
	Process string
	// Key is what it is about, as the id of an order.
	Key string
	// Name says which timer of that key it is, as "payment-overdue".
	Name string
}

// Timer is what is to happen at a time. There is one of a TimerRef at most: one that is set again takes the place of the first.
type Timer struct {
	TimerRef
	// ID identifies the setting; a timer that is set again has another one.
	ID uuid.UUID
	// DueAt is when it is due, and SetAt when it was set, both by the database's clock.
	DueAt, SetAt time.Time
	// FiredAt is when its handler got it, by the database's clock; zero while it waits.
	FiredAt time.Time
	// Tries is how often its handler failed on it before, as far as that counts.
	Tries int
	// Payload is what was given when it was set; null if nothing was.
	Payload json.RawMessage
	// Metadata say where the setting comes from, as a TimerTracer wrote it; nil if none did. Nil in a List.
	Metadata json.RawMessage
	// NextAt is when it is tried: DueAt, and after a failure the time of the next try. Zero in a handler.
	NextAt time.Time
	// ParkedAt is when it was put aside, since its handler failed too often; zero while it waits.
	ParkedAt time.Time
	// LastError is what the handler said last; empty if it has not failed. Empty in a handler.
	LastError string
}

// DecodeTimer reads the payload of a timer into a T.
func DecodeTimer[T any](t Timer) (T, error) {
	var v T
	if err := json.Unmarshal(t.Payload, &v); err != nil {
		var zero T
		return zero, &TimerError{Timer: t, Err: err}
	}
	return v, nil
}

// At sets a timer that is due at a time, by the database's clock; one in the past is due at once. A timer of the same TimerRef is replaced,
// parked or not. A payload is any value that encoding/json can marshal. With repo.WithTx(tx) the timer is set if that commits.
//
// While somebody handles the timer that is to be replaced, At waits: then that one has fired, and this is another one.
func At(ctx context.Context, repo *eventstream.Repository, ref TimerRef, due time.Time, payload any) error {
	return set(ctx, repo, timing{ref: ref, due: due}, payload)
}

// After sets a timer that is due in d from now on, by the database's clock: like At, without a clock of this process.
func After(ctx context.Context, repo *eventstream.Repository, ref TimerRef, d time.Duration, payload any) error {
	return set(ctx, repo, timing{ref: ref, after: d, relative: true}, payload)
}

// timing is a timer that is to be set.
type timing struct {
	ref TimerRef
	// due counts, or after if relative.
	due      time.Time
	after    time.Duration
	relative bool
	// id is that of the setting; nil for a new one.
	id uuid.UUID
	// metadata say where it comes from; nil if nobody wants to know.
	metadata json.RawMessage
}

func set(ctx context.Context, repo *eventstream.Repository, t timing, payload any) error {
	c, err := coreOf(repo)
	if err != nil {
		return err
	}
	text, err := marshal("timer payload", payload)
	if err != nil {
		return err
	}
	t.metadata = setBy(ctx, c)
	return explain(c, isolation.OrReadCommitted(ctx, c.Handle(), func(h db.DBTX) error { return t.set(ctx, h, text) }))
}

func (t timing) set(ctx context.Context, h db.DBTX, payload json.RawMessage) error {
	id := ""
	if t.id != uuid.Nil {
		id = t.id.String()
	}
	var err error
	if t.relative {
		_, err = db.New().TimerSetAfter(ctx, h, db.TimerSetAfterParams{
			Process: t.ref.Process, Key: t.ref.Key, Name: t.ref.Name, After: interval(t.after), Payload: payload, TimerID: id, Metadata: t.metadata,
		})
	} else {
		_, err = db.New().TimerSetAt(ctx, h, db.TimerSetAtParams{
			Process: t.ref.Process, Key: t.ref.Key, Name: t.ref.Name, DueAt: t.due, Payload: payload, TimerID: id, Metadata: t.metadata,
		})
	}
	return err
}

// Cancel removes a timer, and says whether there was one. False means that it has fired, or was never set. While somebody handles the timer,
// Cancel waits: it then has fired, or that failed and it is removed. With repo.WithTx(tx) it is removed if that commits.
func Cancel(ctx context.Context, repo *eventstream.Repository, ref TimerRef) (bool, error) {
	if ref.Name == "" {
		return false, invalid.Value("timer name", "", "given: CancelAll removes all timers of a key")
	}
	cancelled, err := cancel(ctx, repo, ref)
	return cancelled > 0, err
}

// CancelAll removes all timers of a key, and says how many there were.
func CancelAll(ctx context.Context, repo *eventstream.Repository, process, key string) (int, error) {
	return cancel(ctx, repo, TimerRef{Process: process, Key: key})
}

func cancel(ctx context.Context, repo *eventstream.Repository, ref TimerRef) (int, error) {
	c, err := coreOf(repo)
	if err != nil {
		return 0, err
	}
	var cancelled int64
	err = isolation.OrReadCommitted(ctx, c.Handle(), func(h db.DBTX) (err error) {
		cancelled, err = db.New().TimerCancel(ctx, h, db.TimerCancelParams{Process: ref.Process, Key: ref.Key, Name: ref.Name})
		return err
	})
	return int(cancelled), explain(c, err)
}
