package decider

import (
	"context"
	"errors"
	"slices"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/boundid"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// newer is how many events a refusal brings: a stream that gets more between a look and an append is read on.
const newer = 100

// handling is one command on its way.
type handling[Command, State any] struct {
	decider Decider[Command, State]
	store   Store
	options options
	command Command

	streams []*past
	state   State
	// snapshots are nil without WithSnapshots, and resumed is what they gave.
	snapshots Snapshots[State]
	resumed   *eventstream.EventStream
	// appended is what this call has written.
	appended []eventstream.Event
	position int64
	tries    int
	// repeated says that what was appended was there already, though not under the ids of this command.
	repeated bool
}

// run reads the streams and tries until the command is done or refused. Whether it was done before is looked at first each time: Decide
// may well say no to a command in the state that it has led to.
func (h *handling[Command, State]) run(ctx context.Context) error {
	if err := h.begin(ctx); err != nil {
		return err
	}
	for {
		if h.doneBefore() {
			return h.findAll(ctx)
		}
		h.tries++
		events, err := h.decide()
		if err != nil || len(events) == 0 {
			return err
		}
		requests, err := h.route(events)
		if err != nil {
			return err
		}
		results, err := h.store.AppendMany(ctx, requests...)
		if err == nil {
			again, err := h.settle(ctx, requests, results)
			if err != nil || !again {
				return err
			}
			continue
		}
		if err := h.refused(ctx, err); err != nil {
			return err
		}
	}
}

// doneBefore says whether the streams hold what this command has written.
func (h *handling[Command, State]) doneBefore() bool {
	for _, s := range h.streams {
		if len(s.written) > 0 {
			return true
		}
	}
	return false
}

// findAll reads on what was read before the command's events were there, if it was another handling of it that was appending them: they came
// to all streams at once, but these are read one after the other.
func (h *handling[Command, State]) findAll(ctx context.Context) error {
	if len(h.streams) == 1 {
		return nil
	}
	return h.readOn(ctx, h.streams)
}

// readOn folds into the state what streams have behind the version that is known of them.
func (h *handling[Command, State]) readOn(ctx context.Context, streams []*past) error {
	for _, s := range streams {
		if err := readFrom(ctx, h.store, s.id, s.version+1, func(e eventstream.Event) error { return h.see(s, e) }); err != nil {
			return err
		}
	}
	return nil
}

// see folds an event of a stream into the state.
func (h *handling[Command, State]) see(s *past, e eventstream.Event) error {
	if err := s.see(e); err != nil {
		return err
	}
	state, err := h.decider.Evolve(h.state, e)
	if err != nil {
		return &EvolveError{Event: e, Err: err}
	}
	h.state = state
	return nil
}

// route turns events into a request for each stream that gets some, in the order of the streams.
func (h *handling[Command, State]) route(events []eventstream.Event) ([]eventstream.AppendRequest, error) {
	at := make(map[eventstream.StreamID]int, len(h.streams))
	for i, s := range h.streams {
		at[s.id] = i
	}
	perStream := make([][]eventstream.Event, len(h.streams))
	for _, e := range events {
		if e.StreamID == "" && len(h.streams) == 1 {
			e.StreamID = h.streams[0].id
		}
		i, known := at[e.StreamID]
		if !known {
			return nil, invalid.Value("stream_id", string(e.StreamID), "of each decided event, one of the streams that the command is handled for")
		}
		if h.options.command != nil {
			eventID := EventID(*h.options.command, e.StreamID, len(perStream[i]))
			if err := boundid.Check(&e, eventID); err != nil {
				return nil, err
			}
			e.ID = eventID
		}
		e.Version, e.Position = 0, 0
		perStream[i] = append(perStream[i], e)
	}
	var requests []eventstream.AppendRequest
	for i, s := range h.streams {
		if len(perStream[i]) > 0 {
			requests = append(requests, eventstream.AppendRequest{
				StreamID: s.id, Expected: eventstream.Exact(s.version), Events: perStream[i], Newer: newer,
			})
		}
	}
	return requests, nil
}

// settle takes over what was appended. It is to be looked at again if it was another handling of the same command that appended it: then others
// may have been in between, and the streams say what came when. Decide may repeat events by ids of its own too: these are then done.
func (h *handling[Command, State]) settle(
	ctx context.Context, requests []eventstream.AppendRequest, results []eventstream.AppendResult,
) (again bool, err error) {
	repeats := func(r eventstream.AppendResult) bool { return r.Duplicate }
	duplicate := slices.ContainsFunc(results, repeats)
	if duplicate {
		if err := h.readOn(ctx, h.streams); err != nil || h.doneBefore() {
			return true, err
		}
		h.repeated = true
	}
	for i, request := range requests {
		for n, e := range request.Events {
			e.Version = results[i].FirstVersion + int64(n)
			h.appended = append(h.appended, e)
		}
		h.position = max(h.position, results[i].LastPosition)
	}
	if duplicate {
		return false, nil // what is there was folded
	}
	for _, e := range h.appended {
		state, err := h.decider.Evolve(h.state, e)
		if err != nil {
			return false, &EvolveError{Event: e, Appended: true, Err: err}
		}
		h.state = state
	}
	return false, nil
}

// result is what has come out so far.
func (h *handling[Command, State]) result() Result[State] {
	r := Result[State]{State: h.state, Events: h.appended, Position: h.position, Tries: h.tries, Duplicate: h.repeated}
	if len(h.appended) > 0 {
		return r
	}
	for _, s := range h.streams {
		r.Events = append(r.Events, s.written...)
		for _, e := range s.written {
			r.Position = max(r.Position, e.Position)
		}
	}
	r.Duplicate = len(r.Events) > 0
	return r
}

// readFrom hands the events of a stream to f, from a version on; none of a stream that is not there.
func readFrom(
	ctx context.Context, store Store, id eventstream.StreamID, from int64, f func(eventstream.Event) error,
) error {
	type folder interface {
		Fold(ctx context.Context, id eventstream.StreamID, from int64, f func(eventstream.Event) error) error
	}
	if store, ok := store.(folder); ok {
		return store.Fold(ctx, id, from, f)
	}
	for e, err := range store.Read(ctx, id, eventstream.ReadOptions{From: from}) {
		if errors.Is(err, eventstream.ErrStreamNotFound) {
			return nil
		}
		if err == nil {
			err = f(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
