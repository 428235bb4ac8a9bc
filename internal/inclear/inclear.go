// Package inclear is what a codec.Registry lets package shred do beyond what its users see: write personal fields, which shred then encrypts,
// and refuse them to everybody else. Package codec provides it.
package inclear

import "github.com/gaplesspg/gapless/eventstream"

// Registry is a *codec.Registry from inside.
type Registry interface {
	// Guard has the registry ask check of each value that its users encode; its error ends that. The last one counts.
	Guard(check func(value any) error)
	// Encode is Registry.Encode without the guard: what it returns holds personal fields in the clear.
	Encode(value any, opts ...eventstream.EventOption) (eventstream.Event, error)
}

var of func(registry any) Registry

// Provide is for package codec: it gives the inside of a *codec.Registry.
func Provide(inside func(registry any) Registry) { of = inside }

// Of is the inside of a *codec.Registry.
func Of(registry any) Registry { return of(registry) }
