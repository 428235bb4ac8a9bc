package codec_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
)

type counted struct{ N int }

// Rules over values are rules over events: what is decided is encoded, and a fold gets what an event is decoded to, all of it or an error.
func TestCodecRulesOverValues(t *testing.T) {
	t.Parallel()
	type pair struct{ A, B int }
	registry, err := codec.New(
		codec.Event[counted]("counted"),
		codec.Event[pair]("pair", codec.Version(2), codec.Split(1, func(old pair) ([]any, error) { return []any{counted{old.A}, counted{old.B}}, nil })))
	require.NoError(t, err)
	no := errors.New("no")
	decide := codec.Decide(registry, func(n, sum int) ([]any, error) {
		if n < 0 {
			return nil, no
		}
		return []any{counted{n}, counted{sum}}, nil
	})
	events, err := decide(3, 4)
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.JSONEq(t, `{"N": 4}`, string(events[1].Payload))
	_, err = decide(-1, 0)
	require.Same(t, no, err)

	evolve := codec.Evolve(registry, func(sum int, value any) int { return sum + value.(counted).N })
	sum, err := evolve(10, events[0])
	require.NoError(t, err)
	require.Equal(t, 13, sum)
	two, err := eventstream.NewEvent("pair", pair{1, 2})
	require.NoError(t, err)
	sum, err = evolve(10, two)
	require.NoError(t, err)
	require.Equal(t, 13, sum, "an event that was split is two")
	unknown, err := eventstream.NewEvent("other", 1)
	require.NoError(t, err)
	sum, err = evolve(10, unknown)
	require.ErrorIs(t, err, codec.ErrUnknownEvent)
	require.Equal(t, 10, sum)

	calls := 0
	err = registry.Each(two, func(any) error { calls++; return no })
	require.Same(t, no, err)
	require.Equal(t, 1, calls)
}
