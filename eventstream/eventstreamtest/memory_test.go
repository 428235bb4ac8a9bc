package eventstreamtest_test

import (
	"testing"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	eventstreamtest.Conformance(t, func(*testing.T) eventstream.Store { return eventstreamtest.NewMemory() })
}
