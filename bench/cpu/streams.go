package main

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// payload has 200 bytes, as many as a small domain event.
const payload = `{"order":"0123456789","customer":"abcdefghij","lines":[{"sku":"a-1","n":1},{"sku":"b-2","n":2}],` +
	`"note":"twelve dozen of the usual, please, and mind the step at the back door","total":1234,"paid":true}`

// shape says which streams the events of a call go to.
type shape int

const (
	oneStream  shape = iota // all to one that exists
	ownStreams              // each to another one that exists
	newStream               // all to one that does not exist yet
)

// stream is a stream, and where it stands.
type stream struct {
	id        string
	partition int32
	version   int64
}

// target is a stream, and how many events a call adds to it.
type target struct {
	*stream
	events int
}

// streams are those of one store. They are used in turn, so that no row is updated twice in a transaction before all others were: a long
// chain of versions of one row, which no real writer makes, would be measured instead. Ids are spread like those of real
// streams, so turns are jumps within the indexes.
type streams struct {
	store string
	pool  []*stream
	turn  int
	made  int
}

// grow adds streams to the pool, and returns them.
func (s *streams) grow(n int) []target {
	added := make([]target, n)
	for i := range added {
		added[i] = target{s.make(), 1}
		s.pool = append(s.pool, added[i].stream)
	}
	return added
}

// make invents a stream that is not there. Its id has 42 bytes.
func (s *streams) make() *stream {
	s.made++
	id := "order-" + uuid.NewSHA1(uuid.NameSpaceOID, []byte(s.store+strconv.Itoa(s.made))).String()
	key, err := eventstream.PartitionOf(eventstream.StreamID(id), eventstream.DefaultPartitionCount)
	if err != nil {
		panic(err) // the default count is valid
	}
	return &stream{id: id, partition: int32(key.ID)}
}

// targets gives the streams for a call of n events.
func (s *streams) targets(kind shape, n int) []target {
	switch kind {
	case newStream:
		return []target{{s.make(), n}}
	case ownStreams:
		targets := make([]target, n)
		for i := range targets {
			targets[i] = target{s.next(), 1}
		}
		return targets
	default:
		return []target{{s.next(), n}}
	}
}

func (s *streams) next() *stream {
	s.turn++
	return s.pool[s.turn%len(s.pool)]
}

// columns are events as arrays, one for each column.
type columns struct {
	streamIDs  []string
	partitions []int32
	versions   []int64
	eventIDs   []string
	types      []string
	payloads   []json.RawMessage
	occurredAt []time.Time
}

// layOut makes the events of a call, and moves the streams on.
func layOut(targets []target) (columns, error) {
	var c columns
	now := time.Now()
	for _, t := range targets {
		for range t.events {
			id, err := uuid.NewV7()
			if err != nil {
				return c, err
			}
			t.version++
			c.streamIDs = append(c.streamIDs, t.id)
			c.partitions = append(c.partitions, t.partition)
			c.versions = append(c.versions, t.version)
			c.eventIDs = append(c.eventIDs, id.String())
			c.types = append(c.types, "order.placed")
			c.payloads = append(c.payloads, json.RawMessage(payload))
			c.occurredAt = append(c.occurredAt, now)
		}
	}
	return c, nil
}
