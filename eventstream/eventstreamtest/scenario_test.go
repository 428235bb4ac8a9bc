package eventstreamtest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

type (
	opened    struct{ Owner string }
	deposited struct{ Cents int64 }
	withdrawn struct{ Cents int64 }

	withdraw struct{ Cents int64 }

	account struct {
		Balance int64
		Version int64
	}
)

var errTooLittle = errors.New("too little money")

func registry(t testing.TB) *codec.Registry {
	t.Helper()
	r, err := codec.New(codec.Event[opened]("account.opened"), codec.Event[deposited]("account.deposited"), codec.Event[withdrawn]("account.withdrawn"))
	require.NoError(t, err)
	return r
}

// rules has the fields of a decider.Decider.
func rules(r *codec.Registry) eventstreamtest.Rules[withdraw, account] {
	return eventstreamtest.Rules[withdraw, account]{
		Decide: func(c withdraw, a account) ([]eventstream.Event, error) {
			if c.Cents > a.Balance {
				return nil, fmt.Errorf("withdraw %d: %w", c.Cents, errTooLittle)
			}
			if c.Cents == 0 {
				return nil, nil
			}
			return r.EncodeAll(withdrawn(c))
		},
		Evolve: evolve(r),
	}
}

func evolve(r *codec.Registry) func(account, eventstream.Event) (account, error) {
	return func(a account, e eventstream.Event) (account, error) {
		values, err := r.Decode(e)
		for _, value := range values {
			switch v := value.(type) {
			case deposited:
				a.Balance += v.Cents
			case withdrawn:
				a.Balance -= v.Cents
			}
		}
		a.Version = e.Version
		return a, err
	}
}

func TestScenario(t *testing.T) {
	t.Parallel()
	r := registry(t)
	s := rules(r).Given(t, r, opened{"ada"}, deposited{10})
	s.When(withdraw{4}).Then(withdrawn{4}).When(withdraw{7}).ThenError(errTooLittle).When(withdraw{0}).Then()
	require.Equal(t, account{Balance: 6, Version: 3}, s.State())
	require.Equal(t, account{Balance: 3, Version: 2}, eventstreamtest.Fold(t, r, account{}, evolve(r), deposited{5}, withdrawn{2}))
}

// Without a codec, events are compared by what they say.
func TestScenarioOfEvents(t *testing.T) {
	t.Parallel()
	r := registry(t)
	past, err := r.Encode(deposited{10})
	require.NoError(t, err)
	want, err := r.Encode(withdrawn{4})
	require.NoError(t, err)
	rules(r).Given(t, nil, past).When(withdraw{4}).Then(want)
	require.Contains(t, failing(t, func(t testing.TB) { rules(r).Given(t, nil, past).When(withdraw{5}).Then(want) }), "want [{Type:account.withdrawn")
}

// failed is a test that fails without failing the one that runs it.
type failed struct {
	testing.TB
	text strings.Builder
}

func (f *failed) Helper() {}
func (f *failed) Fatal(args ...any) {
	fmt.Fprintln(&f.text, args...)
	runtime.Goexit()
}

func (f *failed) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }
func (f *failed) Errorf(format string, args ...any) { fmt.Fprintf(&f.text, format+"\n", args...) }

// failing returns how a test fails.
func failing(t testing.TB, test func(testing.TB)) string {
	t.Helper()
	f := &failed{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	require.NotEmpty(t, f.text.String(), "the test should have failed")
	return f.text.String()
}

func TestScenarioFails(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for want, test := range map[string]func(*eventstreamtest.Scenario[withdraw, account]){
		"want [{Cents:3}]":       func(s *eventstreamtest.Scenario[withdraw, account]) { s.When(withdraw{4}).Then(withdrawn{3}) },
		"want []":                func(s *eventstreamtest.Scenario[withdraw, account]) { s.When(withdraw{4}).Then() },
		"got []":                 func(s *eventstreamtest.Scenario[withdraw, account]) { s.When(withdraw{0}).Then(withdrawn{0}) },
		"the command was refuse": func(s *eventstreamtest.Scenario[withdraw, account]) { s.When(withdraw{40}).Then() },
		"want error too little":  func(s *eventstreamtest.Scenario[withdraw, account]) { s.When(withdraw{4}).ThenError(errTooLittle) },
		"want EOF": func(s *eventstreamtest.Scenario[withdraw, account]) {
			s.When(withdraw{40}).ThenError(errors.New("EOF"))
		},
	} {
		text := failing(t, func(t testing.TB) { test(rules(r).Given(t, r, deposited{10})) })
		require.Contains(t, text, want)
	}
	require.Contains(t, failing(t, func(t testing.TB) { rules(r).Given(t, nil, r.Event(5)) }), "could not be made")
	require.Contains(t, failing(t, func(t testing.TB) { rules(r).Given(t, r, 5) }), "is not registered")
	require.Contains(t, failing(t, func(t testing.TB) { rules(r).Given(t, nil, deposited{5}) }), "without a codec")
}

// Where an event that is wanted names its stream, or has tags, those of the command's count.
func TestScenarioComparesStreamsAndTags(t *testing.T) {
	t.Parallel()
	event := func(stream eventstream.StreamID, tags ...string) eventstream.Event {
		e := eventstream.EventOf("thing.done", nil, eventstream.WithTags(tags...))
		require.NoError(t, e.Err)
		e.StreamID = stream
		return e
	}
	then := func(t testing.TB, got, want eventstream.Event) {
		eventstreamtest.Rules[int, int]{
			Decide: func(int, int) ([]eventstream.Event, error) { return []eventstream.Event{got}, nil },
			Evolve: func(n int, _ eventstream.Event) (int, error) { return n, nil },
		}.Given(t, nil).When(1).Then(want)
	}
	then(t, event("copy-1", "book:1"), event("copy-1", "book:1"))
	then(t, event("copy-1", "book:1"), event(""))
	for text, want := range map[string]eventstream.Event{
		`for stream "copy-1", want "copy-9"`: event("copy-9"),
		`want ["book:2"]`:                    event("copy-1", "book:2"),
		`want ["book:1" "book:2"]`:           event("", "book:1", "book:2"),
	} {
		require.Contains(t, failing(t, func(t testing.TB) { then(t, event("copy-1", "book:1"), want) }), text)
	}
}

func TestHistoryIsHandledInBatches(t *testing.T) {
	t.Parallel()
	r := registry(t)
	h := eventstreamtest.Given(t, r, "account-1", opened{"ada"}, deposited{10}).And("account-2", opened{"bob"}).And("account-1", withdrawn{3})
	for size, want := range map[int][]int{1: {1, 1, 1, 1}, 3: {3, 1}, 4: {4}, 9: {4}} {
		var sizes []int
		balance := map[eventstream.StreamID]int64{}
		require.NoError(t, h.Handled(size, func(_ context.Context, batch []eventstream.LogEvent) error {
			sizes = append(sizes, len(batch))
			for _, e := range batch {
				a, err := evolve(r)(account{Balance: balance[e.StreamID]}, e.Event)
				require.NoError(t, err)
				balance[e.StreamID] = a.Balance
			}
			return nil
		}))
		require.Equal(t, want, sizes)
		require.Equal(t, map[eventstream.StreamID]int64{"account-1": 7, "account-2": 0}, balance)
	}
	require.ErrorIs(t, h.Handled(2, func(context.Context, []eventstream.LogEvent) error { return errTooLittle }), errTooLittle)
	require.ErrorIs(t, h.Handled(9, func(context.Context, []eventstream.LogEvent) error { return errTooLittle }), errTooLittle)
}
