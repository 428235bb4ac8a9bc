package snapshot

import (
	"fmt"
	"reflect"

	"github.com/gaplesspg/gapless/eventstream"
)

// Check tries out, without a database, whether snapshots of a config can be trusted: it makes one after each of the events, as a test of
// yours has them, and says where the state that comes back differs from the one that was kept (by reflect.DeepEqual). It finds fields that
// the codec loses, and maps that come back nil.
func Check[S any](config Config[S], events []eventstream.Event) error {
	s := &Store[S]{}
	var err error
	if s.config, err = config.complete(); err != nil {
		return err
	}
	for n := range len(events) + 1 {
		state, err := s.fold(s.config.Initial(), events[:n])
		if err != nil {
			return err
		}
		data, err := s.encode(state)
		if err != nil {
			return fmt.Errorf("after %d events: %w", n, err)
		}
		back, err := s.config.Codec.Decode(data)
		if err != nil {
			return fmt.Errorf("after %d events: the state that was encoded is not decoded: %w", n, err)
		}
		if !reflect.DeepEqual(state, back) {
			return fmt.Errorf("after %d events: the state was %+v and comes back as %+v: let the codec keep all of it", n, state, back)
		}
	}
	return nil
}
