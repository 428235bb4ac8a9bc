package process

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/boundid"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Step is the handling of one event or timer of a process. It is lent until the handler returns, and not safe for several goroutines.
type Step[S any] struct {
	// Key is what the event or timer is about.
	Key string
	// State is what is known of it: S's zero value at first, later on what the handler left here the last time.
	State S
	// Known says whether the process has a state for the key: false at first, and after End.
	Known bool

	source uuid.UUID
	batch  *batch[S]
	used   []string
	ended  bool
}

// Tx is the transaction of the step, for what else is to happen exactly once. It cannot be committed or rolled back here.
func (s *Step[S]) Tx() pgx.Tx { return s.batch.tx }

// Repository is the repository in the transaction of the step.
func (s *Step[S]) Repository() *eventstream.Repository { return s.batch.repo }

// Append appends to a stream, as Repository.Append does, with event ids that are derived (EventID) from what the step handles, the process and
// the name of this append, which no other one of the step may have: handled again, after a reset say, it appends nothing twice.
// An event with encrypted fields (package shred) keeps the id that they are bound to: encode it by EncodeUnder with the ids of EventID, or it is
// refused with an *InvalidValueError.
//
// A refusal, as a *VersionConflictError, leaves the transaction usable: the handler decides what to do about it, by an errors.As. If it returns
// the error, the step has failed, and all of it is tried again.
func (s *Step[S]) Append(
	ctx context.Context, name string, id eventstream.StreamID, expected eventstream.Expected, events ...eventstream.Event,
) (eventstream.AppendResult, error) {
	if name == "" || slices.Contains(s.used, name) {
		return eventstream.AppendResult{}, invalid.Value("name of the append", name, "given, and another one for each append of a step")
	}
	s.used = append(s.used, name)
	own := slices.Clone(events)
	for i := range own {
		eventID := s.EventID(name, i)
		if err := boundid.Check(&own[i], eventID); err != nil {
			return eventstream.AppendResult{}, err
		}
		own[i].ID = eventID
	}
	return s.batch.repo.Append(ctx, id, expected, own...)
}

// EventID is the id that Append gives to the n-th event, from 0, of the append of that name: for events that have to know it before.
func (s *Step[S]) EventID(name string, n int) uuid.UUID {
	return EventID(s.source, s.batch.process, name, n)
}

// At sets a timer of the key that is due at a time, as the function At does. Process.OnTimer handles it.
func (s *Step[S]) At(ctx context.Context, name string, due time.Time, payload any) error {
	return s.set(ctx, timing{ref: s.timer(name), due: due}, payload)
}

// After sets a timer of the key that is due in d from now on, by the database's clock.
func (s *Step[S]) After(ctx context.Context, name string, d time.Duration, payload any) error {
	return s.set(ctx, timing{ref: s.timer(name), after: d, relative: true}, payload)
}

// Cancel removes a timer of the key, and says whether there was one.
func (s *Step[S]) Cancel(ctx context.Context, name string) (bool, error) {
	return Cancel(ctx, s.batch.repo, s.timer(name))
}

// End says that the process is done with the key: its state and its timers are removed once the step has succeeded. An event of the key that
// comes later begins anew.
func (s *Step[S]) End() { s.ended = true }

func (s *Step[S]) timer(name string) TimerRef {
	return TimerRef{Process: s.batch.process, Key: s.Key, Name: name}
}

func (s *Step[S]) set(ctx context.Context, t timing, payload any) error {
	if !s.batch.timers {
		return ErrNoTimers
	}
	text, err := marshal("timer payload", payload)
	if err != nil {
		return err
	}
	// What the timer's handler appends has the same ids, if this step is repeated.
	t.id = EventID(s.source, s.batch.process, "timer "+t.ref.Name, 0)
	t.metadata = setBy(ctx, s.batch.core)
	return explain(s.batch.core, t.set(ctx, s.batch.tx, text))
}

// step calls the handler of one event or timer with what is known of its key.
func (b *batch[S]) step(ctx context.Context, key string, source uuid.UUID, handle func(*Step[S]) error) error {
	at := b.states[key]
	s := &Step[S]{Key: key, State: at.state, Known: at.known, source: source, batch: b}
	if err := handle(s); err != nil {
		return err
	}
	if !s.ended {
		at.state, at.known = s.State, true
		return nil
	}
	var none S
	at.state, at.known = none, false
	_, err := db.New().TimerCancel(ctx, b.tx, db.TimerCancelParams{Process: b.process, Key: key})
	return explain(b.core, err)
}
