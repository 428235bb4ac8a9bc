package decider

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// past is what is known of a stream.
type past struct {
	id      eventstream.StreamID
	version int64
	// command is the command that is handled, if it has an id; next is the id of its next event in this stream, and written those that were seen.
	command *uuid.UUID
	next    uuid.UUID
	written []eventstream.Event
}

func newPast(id eventstream.StreamID, o options) *past {
	s := &past{id: id, command: o.command}
	if s.command != nil {
		s.next = EventID(*s.command, id, 0)
	}
	return s
}

// see takes notice of the next event.
func (s *past) see(e eventstream.Event) error {
	if e.Version != s.version+1 {
		return fmt.Errorf("%w: stream %s: version %d follows %d: SELECT * FROM eventstream.audit() says what is damaged",
			eventstream.ErrReconstruct, s.id, e.Version, s.version)
	}
	s.version = e.Version
	if s.command != nil && e.ID == s.next {
		s.written = append(s.written, e)
		s.next = EventID(*s.command, s.id, len(s.written))
	}
	return nil
}

// EventID is the id of an event that a command has led to: the ordinal-th one, from 0, that it has written to a stream. It is a UUID of version
// 5 in the name space of the command's id, of the ordinal in decimal, a slash, and the stream's id.
func EventID(command uuid.UUID, stream eventstream.StreamID, ordinal int) uuid.UUID {
	return uuid.NewSHA1(command, fmt.Appendf(nil, "%d/%s", ordinal, stream))
}
