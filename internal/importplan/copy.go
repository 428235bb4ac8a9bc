package importplan

import (
	"encoding/binary"
	"io"
)

const (
	// CopyEvents is the statement for what Chunk.Copy gives: it names the columns in their order. What it leaves out, position and recorded_at,
	// is the database's to give.
	CopyEvents = `COPY eventstream.events (
		version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
	) FROM STDIN (FORMAT binary)`

	copyColumns = 10

	// copyHeader is the signature of the format, no flags, and no extension.
	copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

	// copyTrailer stands where the number of columns of a further row would.
	copyTrailer = 0xffff

	// copyNull is the length of a NULL.
	copyNull = 0xffffffff

	// jsonbVersion comes before the text of a jsonb.
	jsonbVersion = 1

	// copyEpoch is 2000-01-01 in seconds of Unix: PostgreSQL's time 0.
	copyEpoch = 946_684_800

	// copyBuffer is how much is laid out at once: what pgconn asks for.
	copyBuffer = 64 << 10
)

// copyReader writes the rows of a chunk in PostgreSQL's binary COPY format while they are sent: pgx's own CopyFrom makes some ten
// allocations an event, this one none.
type copyReader struct {
	chunk *Chunk
	buf   []byte
	// sent is how much of buf was read, row the next row to lay out.
	sent, row int
	ended     bool
}

// Copy gives the rows of the plan in PostgreSQL's binary COPY format, for CopyEvents. Reading it never fails.
func (c *Chunk) Copy() io.Reader {
	return &copyReader{chunk: c, buf: append(make([]byte, 0, copyBuffer), copyHeader...)}
}

// Read gives the next part of the COPY. It never fails.
func (c *copyReader) Read(p []byte) (int, error) {
	if c.sent == len(c.buf) {
		if c.ended {
			return 0, io.EOF
		}
		c.fill()
	}
	n := copy(p, c.buf[c.sent:])
	c.sent += n
	return n, nil
}

// fill lays out rows until the buffer is well filled, and the trailer after the last.
func (c *copyReader) fill() {
	c.buf, c.sent = c.buf[:0], 0
	for ; c.row < len(c.chunk.rows) && len(c.buf) < copyBuffer/2; c.row++ {
		c.add(c.chunk.rows[c.row])
	}
	if c.row == len(c.chunk.rows) {
		c.buf = binary.BigEndian.AppendUint16(c.buf, copyTrailer)
		c.ended = true
	}
}

func (c *copyReader) add(r row) {
	e, h := &c.chunk.events[r.event], &c.chunk.heads[c.chunk.headOf[r.event]]
	b := binary.BigEndian.AppendUint16(c.buf, copyColumns)
	b = appendCopyInt64(b, r.version)
	b = append(appendCopyLength(b, len(e.ID)), e.ID[:]...)
	b = appendCopyInt64(b, (e.OccurredAt.Unix()-copyEpoch)*1_000_000+int64(e.OccurredAt.Nanosecond()/1000))
	b = binary.BigEndian.AppendUint32(appendCopyLength(b, 4), uint32(h.Partition))
	b = appendCopyText(b, e.Stream)
	b = appendCopyText(b, h.Tenant)
	b = appendCopyText(b, e.Type)
	b = appendCopyJSON(b, e.Payload, "null")
	if e.Data == nil {
		b = binary.BigEndian.AppendUint32(b, copyNull)
	} else {
		b = append(appendCopyLength(b, len(e.Data)), e.Data...)
	}
	c.buf = appendCopyJSON(b, e.Metadata, "{}")
}

func appendCopyLength(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

func appendCopyInt64(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(appendCopyLength(b, 8), uint64(n))
}

func appendCopyText(b []byte, s string) []byte { return append(appendCopyLength(b, len(s)), s...) }

// appendCopyJSON writes a jsonb; absent is what the column holds instead of no value.
func appendCopyJSON(b, text []byte, absent string) []byte {
	if text == nil {
		return append(append(appendCopyLength(b, 1+len(absent)), jsonbVersion), absent...)
	}
	return append(append(appendCopyLength(b, 1+len(text)), jsonbVersion), text...)
}
