package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// A decision on a stream that was closed is refused as an append is, though no registry knows what closes streams; and whoever checks what the
// store holds at the start of a process starts.
func TestDeciderOnAClosedStream(t *testing.T) {
	t.Parallel()
	type counted struct{ N int }
	b := setup(t)
	registry, err := codec.New(codec.Event[counted]("thing.counted"))
	require.NoError(t, err)
	d := decider.Decider[int, int]{
		Decide: codec.Decide(registry, func(n, _ int) ([]any, error) { return []any{counted{n}}, nil }),
		Evolve: codec.Evolve(registry, func(sum int, value any) int { return sum + value.(counted).N }),
	}
	_, err = d.Handle(b.ctx, b.repo, "thing-1", 3)
	require.NoError(t, err)
	_, err = b.repo.CloseStream(b.ctx, "thing-1", eventstream.Exists, "done")
	require.NoError(t, err)
	_, err = d.Handle(b.ctx, b.repo, "thing-1", 4)
	require.ErrorIs(t, err, eventstream.ErrStreamClosed)
	unknown, err := codec.Check(b.ctx, b.repo, registry)
	require.NoError(t, err)
	require.Empty(t, unknown)
}
