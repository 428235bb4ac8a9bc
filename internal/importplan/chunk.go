package importplan

import (
	"time"

	"github.com/google/uuid"
)

// Event is an event of the source, valid by itself.
type Event struct {
	ID     uuid.UUID
	Stream string
	// Version is 0 where the source does not say it, and Tenant "" where it names none.
	Version                 int64
	Tenant                  string
	Partition               int
	Type                    string
	OccurredAt              time.Time
	Payload, Data, Metadata []byte
}

// Head is where a stream stands in the store.
type Head struct {
	Tenant    string
	Partition int32
	// Watermark and Current are 0 for a new stream.
	Watermark, Current int64
}

// head is a stream of a chunk: as the store has it, and where the events before the one in hand leave it.
type head struct {
	Head
	// next is the version of the next event.
	next int64
}

// row is an event to be written, by its place in the chunk, at its version.
type row struct {
	event   int32
	version int64
}

// Chunk is what an import holds in memory, and writes in one transaction. Its parts are used again for the next chunk.
type Chunk struct {
	mostEvents, mostBytes int

	events []Event
	bytes  int
	// heads are the streams of the chunk, headOf the place among them of each event's stream.
	heads  []head
	headOf []int32
	// streams and streamIDs find and list the heads.
	streams   map[string]int32
	streamIDs []string

	// rows are the events to be written, in order, and rowOf finds them by id.
	rows  []row
	rowOf map[uuid.UUID]int32
}

// NewChunk returns an empty chunk, which is full with so many events, or with the one that reaches so many bytes of content.
func NewChunk(mostEvents, mostBytes int) *Chunk {
	return &Chunk{mostEvents: mostEvents, mostBytes: mostBytes, streams: map[string]int32{}, rowOf: map[uuid.UUID]int32{}}
}

// Add adds an event, whose content must not change until the chunk is emptied.
func (c *Chunk) Add(e Event) {
	at, ok := c.streams[e.Stream]
	if !ok {
		at = int32(len(c.heads))
		c.streams[e.Stream] = at
		c.heads = append(c.heads, head{})
		c.streamIDs = append(c.streamIDs, e.Stream)
	}
	c.events = append(c.events, e)
	c.headOf = append(c.headOf, at)
	c.bytes += len(e.Payload) + len(e.Data) + len(e.Metadata)
}

// Full says that it is time to write the chunk.
func (c *Chunk) Full() bool { return len(c.events) >= c.mostEvents || c.bytes >= c.mostBytes }

// Len is how many events the chunk has.
func (c *Chunk) Len() int { return len(c.events) }

// Rows is how many events the plan writes.
func (c *Chunk) Rows() int { return len(c.rows) }

// Event is the event at a place, from 0.
func (c *Chunk) Event(at int) *Event { return &c.events[at] }

// LastStream is the stream of the last event that the plan writes, of which there is one.
func (c *Chunk) LastStream() string { return c.events[c.rows[len(c.rows)-1].event].Stream }

// Streams lists the streams of the chunk, each once.
func (c *Chunk) Streams() []string { return c.streamIDs }

// Reset empties the chunk. The events are released; the room for them is kept.
func (c *Chunk) Reset() {
	clear(c.events)
	clear(c.streamIDs)
	clear(c.streams)
	c.events, c.headOf, c.bytes = c.events[:0], c.headOf[:0], 0
	c.heads, c.streamIDs = c.heads[:0], c.streamIDs[:0]
	c.unplan()
}

// unplan forgets what a try found out.
func (c *Chunk) unplan() {
	clear(c.rowOf)
	c.rows = c.rows[:0]
}
