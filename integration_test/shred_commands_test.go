package integration_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/shred"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// registering decides to register a customer, by name, under the ids of a command.
func registering(b *bundle, c *shred.Codec, command uuid.UUID, id eventstream.StreamID) decider.Decider[string, int] {
	ids := func(n int) uuid.UUID { return decider.EventID(command, id, n) }
	return decider.Decider[string, int]{
		Decide: shred.DecideUnder(b.ctx, c, id, ids, func(name string, _ int) ([]any, error) {
			return []any{customerRegistered{Customer: string(id), Name: name}, customerRegistered{Customer: string(id), Name: name + " again"}}, nil
		}),
		Evolve: shred.Evolve(b.ctx, c, func(n int, _ any) int { return n + 1 }),
	}
}

// A command whose events are encrypted counts once: handled again, in a race or after its answer was lost, it is known, and what it wrote can be
// read. So it is after the subject was forgotten, for a command that was carried out; what was not carried out by then is refused.
func TestShredCommandsCountOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	vault := vaultOn(t, b.pool, shred.Config{})
	c := shredCodec(t, vault)
	command := uuid.New()
	d := registering(b, c, command, "customer-1")
	const tries = 6
	results := make(chan error, tries)
	var duplicates atomic.Int64
	for range tries {
		go func() {
			result, err := d.Handle(b.ctx, b.repo, "customer-1", "Ada", decider.WithCommandID(command))
			if result.Duplicate {
				duplicates.Add(1)
			}
			results <- err
		}()
	}
	for range tries {
		require.NoError(t, <-results)
	}
	require.EqualValues(t, tries-1, duplicates.Load())
	customers := readCustomers(t, b, c, "customer-1")
	require.Len(t, customers, 2)
	require.Equal(t, []string{"Ada", "Ada again"}, []string{customers[0].Name, customers[1].Name})

	// An append that does not look first is known by the store itself: the bytes are those that are there.
	events, err := d.Decide("Ada", 0)
	require.NoError(t, err)
	again, err := b.repo.Append(b.ctx, "customer-1", eventstream.Any, events...)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	others, err := d.Decide("Eve", 0)
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "customer-1", eventstream.Any, others...)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict, "the same ids, other content")

	_, err = vault.Forget(b.ctx, shred.Request{Subject: "customer-1", Reason: "asked to"})
	require.NoError(t, err)
	result, err := d.Handle(b.ctx, b.repo, "customer-1", "Ada", decider.WithCommandID(command))
	require.NoError(t, err)
	require.True(t, result.Duplicate)
	next := uuid.New()
	_, err = registering(b, c, next, "customer-1").Handle(b.ctx, b.repo, "customer-1", "Ada", decider.WithCommandID(next))
	require.ErrorIs(t, err, shred.ErrForgotten)
	// With a new key, by choice, what the command would write now is something else than what it wrote.
	anew := registering(b, shredCodec(t, vaultOn(t, b.pool, shred.Config{AllowNewKey: true})), command, "customer-1")
	events, err = anew.Decide("Ada", 0)
	require.NoError(t, err)
	_, err = b.repo.Append(b.ctx, "customer-1", eventstream.Any, events...)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	require.Len(t, readCustomers(t, b, c, "customer-1"), 2)
	requireAuditClean(t, b)
}

// A step of a process that writes encrypted events writes them once, however often it is handled. Once the subject was forgotten, encoding says
// so, and the handler decides what that means.
func TestShredStepsWriteOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	vault := vaultOn(t, b.pool, shred.Config{})
	c := shredCodec(t, vault)
	var handled, duplicates, forgotten atomic.Int64
	p := process.Process[parcel]{
		Name: "welcome",
		Key: func(e eventstream.LogEvent) string {
			if e.Type != "order.paid" {
				return ""
			}
			return string(e.StreamID)
		},
		On: func(ctx context.Context, s *process.Step[parcel], e eventstream.LogEvent) error {
			defer handled.Add(1)
			id := "customer-" + e.StreamID
			ids := func(n int) uuid.UUID { return s.EventID("welcome", n) }
			events, err := c.EncodeUnder(ctx, id, ids, customerRegistered{Customer: string(id), Name: "Ada"}, customerRegistered{Customer: string(id), Name: "King"})
			if errors.Is(err, shred.ErrForgotten) {
				forgotten.Add(1)
				return nil
			}
			if err != nil {
				return err
			}
			result, err := s.Append(ctx, "welcome", id, eventstream.Any, events...)
			if result.Duplicate {
				duplicates.Add(1)
			}
			if err != nil {
				return err
			}
			// One that was encrypted for another id is refused, and nothing of it is written.
			stray, err := c.Encode(ctx, id, customerRegistered{Customer: string(id), Name: "stray"})
			if err == nil {
				_, err = s.Append(ctx, "stray", id, eventstream.Any, stray)
			}
			if !errors.Is(err, eventstream.ErrInvalidValue) {
				return errors.Join(errors.New("a stray event was not refused"), err)
			}
			return nil
		},
		Config: &subscription.Config{MinBackoff: time.Millisecond, Observer: logTroubles(t)},
	}
	add(t, b, "order-1", "order.paid")
	for again := range 3 {
		if again == 2 {
			_, err := vault.Forget(b.ctx, shred.Request{Subject: "customer-order-1", Reason: "asked to"})
			require.NoError(t, err)
		}
		m := newManager(t, b, p)
		stop := keepRunning(t, b, m)
		awaitCheckpoint(t, b, m.Subscription)
		stop()
		require.NoError(t, subscription.Reset(b.ctx, b.repo, "welcome", eventstream.FromBeginning))
		execSQL(t, b.ctx, b.pool, `DELETE FROM eventstream.process_states`)
	}
	require.Equal(t, []int64{3, 1, 1}, []int64{handled.Load(), duplicates.Load(), forgotten.Load()})
	customers := readCustomers(t, b, c, "customer-order-1")
	require.Len(t, customers, 2)
	require.True(t, customers[0].Forgotten.Has("/name"))
}
