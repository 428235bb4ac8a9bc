package baseline

import (
	"crypto/md5"
	"encoding/json"
	"strconv"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Stream is a stream, and where it stands.
type Stream struct {
	ID        eventstream.StreamID
	Partition int32
	Version   int64
}

// NewStream gives a stream that is not there yet. Its id has 42 bytes and is spread like those of real streams, so that turns are jumps
// within the indexes.
func NewStream() *Stream {
	return named("order-"+uuid.NewString(), 0)
}

// SeededStream gives the stream of a number, as Seed names them.
func SeededStream(n int, version int64) *Stream {
	return named("order-"+uuid.UUID(md5.Sum([]byte(strconv.Itoa(n)))).String(), version)
}

func named(id string, version int64) *Stream {
	key, err := eventstream.PartitionOf(eventstream.StreamID(id), eventstream.DefaultPartitionCount)
	if err != nil {
		panic(err) // the default count is valid
	}
	return &Stream{ID: eventstream.StreamID(id), Partition: int32(key.ID), Version: version}
}

// Streams are those of one caller on one side, used in turn, as real writers come back to a stream after others: a long chain of versions
// of one row, which no real writer makes, would be measured instead.
type Streams struct {
	own  []*Stream
	turn int
}

// SeededStreams gives the n streams of a caller, at a version.
func SeededStreams(caller, n int, version int64) *Streams {
	s := &Streams{}
	for i := range n {
		s.Add(SeededStream(caller*n+i+1, version))
	}
	return s
}

// Add puts streams behind those that are there.
func (s *Streams) Add(more ...*Stream) { s.own = append(s.own, more...) }

// Len is how many there are.
func (s *Streams) Len() int { return len(s.own) }

// Next gives the one whose turn it is.
func (s *Streams) Next() *Stream {
	s.turn++
	return s.own[s.turn%len(s.own)]
}

// Several gives the next n.
func (s *Streams) Several(n int) []*Stream {
	some := make([]*Stream, n)
	for i := range some {
		some[i] = s.Next()
	}
	return some
}

// NewEvents makes events as an application does.
func NewEvents(n int) ([]eventstream.Event, error) {
	events := make([]eventstream.Event, n)
	for i := range events {
		var err error
		if events[i], err = eventstream.NewEvent(EventType, json.RawMessage(Payload)); err != nil {
			return nil, err
		}
	}
	return events, nil
}
