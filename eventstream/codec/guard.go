package codec

import (
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/inclear"
)

// guard judges values before they are encoded: package shred sets one, so that what it encrypts is not written in the clear beside it.
type guard func(value any) error

type inside struct{ registry *Registry }

func init() {
	inclear.Provide(func(registry any) inclear.Registry { return inside{registry.(*Registry)} }) //nolint:forcetypeassert // what else
}

func (i inside) Guard(check func(value any) error) {
	g := guard(check)
	i.registry.guard.Store(&g)
}

func (i inside) Encode(value any, opts ...eventstream.EventOption) (eventstream.Event, error) {
	return i.registry.encode(value, nil, opts)
}
