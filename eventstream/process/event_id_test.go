package process_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream/process"
)

// Ids that were given out stay the same in every release: a process that handles an event again must find what it appended before.
func TestEventIDStaysTheSame(t *testing.T) {
	t.Parallel()
	source := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	id := process.EventID(source, "shipping", "ship", 0)
	require.Equal(t, "b0b16ff0-5877-8b06-bdc4-b67d37d999ce", id.String())
	require.EqualValues(t, 8, id.Version())
	require.Equal(t, uuid.RFC4122, id.Variant())
	seen := map[uuid.UUID]bool{id: true}
	for _, other := range []uuid.UUID{
		process.EventID(source, "shipping", "ship", 1), process.EventID(source, "shippings", "hip", 0),
		process.EventID(source, "shippin", "gship", 0), process.EventID(uuid.Nil, "shipping", "ship", 0),
		process.EventID(source, "", "shippingship", 0), process.EventID(source, "shipping", "pack", 0),
	} {
		require.False(t, seen[other])
		seen[other] = true
	}
}
