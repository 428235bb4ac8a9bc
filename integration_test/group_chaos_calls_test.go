package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// verdict is what a caller knows of an append.
type verdict int

const (
	acknowledged verdict = iota
	refused
	unknown
	verdicts
)

// chaosCall is an append, and what its caller was told.
type chaosCall struct {
	stream   eventstream.StreamID
	expected eventstream.Expected
	events   []eventstream.Event
	verdict  verdict
	result   eventstream.AppendResult
}

// check compares a call with what is in the table, and says how many events of it are there.
func (c *chaosCall) check(stored map[uuid.UUID]place) (there int, err error) {
	var first, last place
	for i, e := range c.events {
		p, ok := stored[e.ID]
		if !ok {
			continue
		}
		there++
		if i == 0 {
			first = p
		}
		last = p
		if p.stream != c.stream || p.version != first.version+int64(i) {
			return there, fmt.Errorf("event %d of an append to %s is at %v, the first at %v", i, c.stream, p, first)
		}
	}
	switch c.verdict {
	case acknowledged:
		want := place{c.stream, c.result.LastVersion, c.result.LastPosition}
		if there != len(c.events) || last != want || first.version != c.result.FirstVersion {
			return there, fmt.Errorf("told %+v of %s, but %d of %d are there, from %v to %v", c.result, c.stream, there, len(c.events), first, last)
		}
	case refused:
		if there != 0 {
			return there, fmt.Errorf("refused, but %d events are at %v", there, last)
		}
	default:
		if there != 0 && there != len(c.events) {
			return there, fmt.Errorf("%d of %d events of an append to %s are there", there, len(c.events), c.stream)
		}
	}
	return there, nil
}

// chaosCaller makes one call after the other, and keeps them all.
type chaosCaller struct {
	*chaos
	random *rand.Rand
	calls  []*chaosCall
	// since is when the call that goes on began, in milliseconds; 0 between calls.
	since atomic.Int64
}

func (c *chaosCaller) run(ctx context.Context, more func() bool) error {
	for more() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.since.Store(time.Now().UnixMilli())
		err := c.step(ctx)
		c.since.Store(0)
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *chaosCaller) step(ctx context.Context) error {
	short, cancel := c.limit(ctx)
	defer cancel()
	switch n := c.random.IntN(100); {
	case n < 12 && len(c.calls) > 0:
		return c.again(short, c.calls[c.random.IntN(len(c.calls))])
	case n < 17 && len(c.calls) > 0:
		return c.takeID(short, c.calls[c.random.IntN(len(c.calls))])
	case n < 21:
		return c.malformed(short)
	case n < 27:
		return c.transaction(short)
	}
	call := c.newCall()
	result, err := c.repo.Append(short, call.stream, call.expected, call.events...)
	return c.settle(call, result, err, false)
}

// limit is a context that lasts, or ends soon, or has ended.
func (c *chaosCaller) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	switch n := c.random.IntN(20); {
	case n == 0:
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return ended, cancel
	case n < 6:
		return context.WithTimeout(ctx, time.Duration(c.random.IntN(30_000))*time.Microsecond)
	}
	return context.WithCancel(ctx)
}

func (c *chaosCaller) newCall() *chaosCall {
	call := &chaosCall{stream: eventstream.StreamID(fmt.Sprintf("cold-%d", c.random.IntN(1000))), expected: eventstream.Any}
	guess := int64(1)
	if i := c.random.IntN(2 * chaosHot); i < chaosHot {
		call.stream, guess = hotStream(i), c.versions[i].Load()
	}
	switch c.random.IntN(10) {
	case 0:
		call.expected = eventstream.Empty
	case 1:
		call.expected = eventstream.Exists
	case 2:
		call.expected = eventstream.Exact(1 << 40)
	case 3, 4:
		call.expected = eventstream.Exact(guess)
	}
	call.events = someEvents(c.t, 1+c.random.IntN(5))
	return call
}

// settle notes what a caller was told of a new call.
func (c *chaosCaller) settle(call *chaosCall, result eventstream.AppendResult, err error, tx bool) error {
	if call.verdict, err = verdictOf(err); err != nil {
		return fmt.Errorf("append to %s: %w", call.stream, err)
	}
	if call.verdict == acknowledged {
		call.result = result
		if result.Duplicate || result.LastVersion != result.CurrentVersion {
			return fmt.Errorf("%d new events on %s, expected %v, in a transaction %t, gave %+v", len(call.events), call.stream, call.expected, tx, result)
		}
		for i := range chaosHot {
			if call.stream == hotStream(i) {
				c.versions[i].Store(result.CurrentVersion)
			}
		}
	}
	c.stats[call.verdict].Add(1)
	c.calls = append(c.calls, call)
	return nil
}

// verdictOf says what an error tells of an append, or gives it back if it tells nothing that a caller can work with.
func verdictOf(err error) (verdict, error) {
	var canceled *eventstream.AppendCanceledError
	switch {
	case err == nil:
		return acknowledged, nil
	case errors.As(err, &canceled):
		if canceled.Sent {
			return unknown, nil
		}
		return refused, nil
	case eventstream.SafeToRetry(err):
		return unknown, nil
	case errors.Is(err, eventstream.ErrVersionConflict), errors.Is(err, eventstream.ErrEventIDConflict),
		errors.Is(err, eventstream.ErrStreamNotFound), errors.Is(err, eventstream.ErrInvalidValue):
		return refused, nil
	}
	return unknown, err
}

// again tries an append a second time, as it was.
func (c *chaosCaller) again(ctx context.Context, call *chaosCall) error {
	result, err := c.repo.Append(ctx, call.stream, call.expected, call.events...)
	told, err := verdictOf(err)
	switch {
	case err != nil:
		return fmt.Errorf("append to %s again: %w", call.stream, err)
	case told == acknowledged && call.verdict == acknowledged:
		c.repeated.Add(1)
		if !result.Duplicate || result.FirstVersion != call.result.FirstVersion || result.LastPosition != call.result.LastPosition {
			return fmt.Errorf("append to %s gave %+v, and then %+v", call.stream, call.result, result)
		}
	case told == acknowledged:
		if result.Duplicate && call.verdict == refused {
			return fmt.Errorf("append to %s was refused, and then a duplicate: %+v", call.stream, result)
		}
		call.verdict, call.result = acknowledged, result
	case told == unknown && call.verdict == refused:
		call.verdict = unknown
	case told == refused && call.verdict == acknowledged && !errors.Is(ctx.Err(), context.Canceled) && ctx.Err() == nil:
		return fmt.Errorf("append to %s was acknowledged, and then refused", call.stream)
	}
	// An append of which nothing is known, and whose retry is refused, may still be under way on a server that lost its client.
	return nil
}

// takeID appends an event that another stream has, together with a new one.
func (c *chaosCaller) takeID(ctx context.Context, from *chaosCall) error {
	if from.verdict != acknowledged {
		return nil
	}
	call := c.newCall()
	if call.stream == from.stream {
		return nil
	}
	call.expected = eventstream.Any
	_, err := c.repo.Append(ctx, call.stream, call.expected, append([]eventstream.Event{from.events[0]}, call.events...)...)
	told, err := verdictOf(err)
	if err == nil && told == acknowledged {
		return fmt.Errorf("event %s is in both %s and %s", from.events[0].ID, from.stream, call.stream)
	}
	if err == nil {
		call.verdict = refused
		c.stats[refused].Add(1)
		c.calls = append(c.calls, call)
	}
	return err
}

// malformed makes a call that the package refuses before the database sees it.
func (c *chaosCaller) malformed(ctx context.Context) error {
	call := c.newCall()
	events, id := call.events, call.stream
	switch c.random.IntN(4) {
	case 0:
		events = nil
	case 1:
		id = ""
	case 2:
		events = append(events[:0:0], events...)
		events[len(events)-1].Payload = []byte(`{"a":`)
	default:
		events = append(events[:0:0], events...)
		events[0].ID = uuid.Nil
	}
	if _, err := c.repo.Append(ctx, id, call.expected, events...); !errors.Is(err, eventstream.ErrInvalidValue) {
		return fmt.Errorf("a malformed call gave %w", err)
	}
	call.verdict = refused
	c.calls = append(c.calls, call)
	return nil
}

// transaction appends in a transaction of the caller, which commits or rolls back.
func (c *chaosCaller) transaction(ctx context.Context) error {
	call := c.newCall()
	tx, err := c.b.pool.Begin(ctx)
	if err != nil {
		return nil //nolint:nilerr // the context ended, or the backend was killed: nothing was tried
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	result, err := c.repo.WithTx(tx).Append(ctx, call.stream, call.expected, call.events...)
	if err != nil || c.random.IntN(3) == 0 {
		call.verdict = refused
		if _, err = verdictOf(err); err != nil {
			return fmt.Errorf("append to %s in a transaction: %w", call.stream, err)
		}
		c.stats[refused].Add(1)
		c.calls = append(c.calls, call)
		return nil
	}
	if err := tx.Commit(ctx); err != nil {
		call.verdict = unknown
		c.stats[unknown].Add(1)
		c.calls = append(c.calls, call)
		return nil
	}
	return c.settle(call, result, nil, true)
}
