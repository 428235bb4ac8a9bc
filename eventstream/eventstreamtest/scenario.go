package eventstreamtest

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/gaplesspg/gapless/eventstream"
)

// Codec makes events of values and values of events: a *codec.Registry. Where a test has eventstream.Event values alone, nil will do.
type Codec interface {
	Encode(value any, opts ...eventstream.EventOption) (eventstream.Event, error)
	Decode(e eventstream.Event) ([]any, error)
}

// Rules are the functions of a decider. A decider.Decider is converted to it, as they have the same fields:
//
//	eventstreamtest.Rules[Command, Account](account).Given(t, events, Opened{}).When(Deposit{5}).Then(Deposited{5})
type Rules[Command, State any] struct {
	// Initial makes the state of a stream without events. Default: nil, which is the zero State.
	Initial func() State
	// Decide returns the events that follow from a command in a state, or an error. Required for When.
	Decide func(Command, State) ([]eventstream.Event, error)
	// Evolve returns the state after an event. Required.
	Evolve func(State, eventstream.Event) (State, error)
}

// Scenario is what happened, and what followed from a command. Its methods fail the test where it is not as it should be.
type Scenario[Command, State any] struct {
	t     testing.TB
	rules Rules[Command, State]
	codec Codec
	state State
	past  int64
	// decided are the events of the last command.
	decided []eventstream.Event
	err     error
}

// Given begins a scenario with what has happened: values that the codec knows, or events. They are given versions from 1, in their order.
func (r Rules[Command, State]) Given(t testing.TB, codec Codec, past ...any) *Scenario[Command, State] {
	t.Helper()
	s := &Scenario[Command, State]{t: t, rules: r, codec: codec}
	if r.Initial != nil {
		s.state = r.Initial()
	}
	s.evolve(encoded(t, codec, past))
	return s
}

// When decides about a command. What follows from it has happened when the next When is called.
func (s *Scenario[Command, State]) When(command Command) *Scenario[Command, State] {
	s.t.Helper()
	s.decided, s.err = s.rules.Decide(command, s.state)
	if s.err == nil {
		s.evolve(s.decided)
	}
	return s
}

// Then demands that exactly these followed: values that the codec knows, or events, whose type, payload and data count, and the stream and the
// tags of those that have any. None is a command that changes nothing.
func (s *Scenario[Command, State]) Then(want ...any) *Scenario[Command, State] {
	s.t.Helper()
	if s.err != nil {
		s.t.Fatalf("the command was refused: %v", s.err)
	}
	wanted := encoded(s.t, s.codec, want)
	got, expected := s.shown(s.decided), s.shown(wanted)
	if !reflect.DeepEqual(expected, got) {
		s.t.Fatalf("the events of the command:\n got %+v\nwant %+v", got, expected)
	}
	for i := range wanted {
		if i >= len(s.decided) {
			break // a value that is several events
		}
		w, g := &wanted[i], &s.decided[i]
		if w.StreamID != "" && w.StreamID != g.StreamID {
			s.t.Fatalf("event %d of the command (%s) is for stream %q, want %q", i+1, g.Type, g.StreamID, w.StreamID)
		}
		if tags := w.Tags(); len(tags) > 0 && !slices.Equal(tags, g.Tags()) {
			s.t.Fatalf("event %d of the command (%s) has tags %q, want %q", i+1, g.Type, g.Tags(), tags)
		}
	}
	return s
}

// ThenError demands that the command was refused with an error that is target, as errors.Is has it.
func (s *Scenario[Command, State]) ThenError(target error) *Scenario[Command, State] {
	s.t.Helper()
	if s.err == nil {
		s.t.Fatalf("the command gave %+v, want error %v", s.shown(s.decided), target)
	}
	if !errors.Is(s.err, target) {
		s.t.Fatalf("the command was refused with %v, want %v", s.err, target)
	}
	return s
}

// State returns the state after all that has happened.
func (s *Scenario[Command, State]) State() State { return s.state }

func (s *Scenario[Command, State]) evolve(events []eventstream.Event) {
	s.t.Helper()
	for _, e := range events {
		if e.Err != nil {
			s.t.Fatalf("an event could not be made: %v", e.Err)
		}
		s.past++
		e.Version = s.past
		state, err := s.rules.Evolve(s.state, e)
		if err != nil {
			s.t.Fatalf("Evolve at version %d (%s): %v", e.Version, e.Type, err)
		}
		s.state = state
	}
}

// shownEvent is what counts of an event that the codec does not know.
type shownEvent struct {
	Type    eventstream.EventType
	Payload string
	Data    string
}

func (s *Scenario[Command, State]) shown(events []eventstream.Event) []any {
	s.t.Helper()
	values := []any{}
	for _, e := range events {
		if s.codec == nil {
			values = append(values, shownEvent{e.Type, string(printJSON(e.Payload, true)), string(e.Data)})
			continue
		}
		decoded, err := s.codec.Decode(e)
		if err != nil {
			s.t.Fatal(err)
		}
		values = append(values, decoded...)
	}
	return values
}

// encoded makes events of values, and takes events as they are.
func encoded(t testing.TB, codec Codec, values []any) []eventstream.Event {
	t.Helper()
	events := make([]eventstream.Event, len(values))
	for i, value := range values {
		event, is := value.(eventstream.Event)
		if !is {
			if codec == nil {
				t.Fatalf("value %d is a %T: without a codec, give events", i+1, value)
			}
			var err error
			if event, err = codec.Encode(value); err != nil {
				t.Fatal(err)
			}
		}
		events[i] = event
	}
	return events
}
