package eventstream

import "github.com/google/uuid"

const (
	// MaxImportEvents is how many events a chunk of an Import holds at most.
	MaxImportEvents = 10_000

	// MaxImportBytes is how much payload, data and metadata fill a chunk of an Import; the event that reaches it is the chunk's last.
	MaxImportBytes = 16 << 20
)

// importChunk is what an Import holds in memory, and writes in one transaction. Its parts are used again for the next chunk.
type importChunk struct {
	events []Event
	bytes  int
	// heads are the streams of the chunk, headOf the place in it of each event's stream.
	heads  []importHead
	headOf []int32
	// streams and streamIDs find and list the heads.
	streams   map[StreamID]int32
	streamIDs []string

	// rows are the events to be written, in order, and rowOf finds them by id.
	rows  []importRow
	rowOf map[uuid.UUID]int32
}

// importHead is a stream of a chunk: as the database has it, and where the events before the one in hand leave it.
type importHead struct {
	tenant    TenantID
	partition int32
	// watermark and current are the database's; both 0 for a new stream.
	watermark, current int64
	// next is the version of the next event.
	next int64
}

// importRow is an event to be written, by its place in the chunk, at its version.
type importRow struct {
	event   int32
	version int64
}

func newImportChunk() *importChunk {
	return &importChunk{streams: map[StreamID]int32{}, rowOf: map[uuid.UUID]int32{}}
}

func (c *importChunk) add(e Event) {
	at, ok := c.streams[e.StreamID]
	if !ok {
		at = int32(len(c.heads))
		c.streams[e.StreamID] = at
		c.heads = append(c.heads, importHead{})
		c.streamIDs = append(c.streamIDs, string(e.StreamID))
	}
	c.events = append(c.events, e)
	c.headOf = append(c.headOf, at)
	c.bytes += len(e.Payload) + len(e.Data) + len(e.Metadata)
}

func (c *importChunk) full() bool {
	return len(c.events) >= MaxImportEvents || c.bytes >= MaxImportBytes
}

// reset empties the chunk. The events are let go of; the room for them is kept.
func (c *importChunk) reset() {
	clear(c.events)
	clear(c.streamIDs)
	clear(c.streams)
	c.events, c.headOf, c.bytes = c.events[:0], c.headOf[:0], 0
	c.heads, c.streamIDs = c.heads[:0], c.streamIDs[:0]
	c.unplan()
}

// unplan forgets what a try found out.
func (c *importChunk) unplan() {
	clear(c.rowOf)
	c.rows = c.rows[:0]
}
