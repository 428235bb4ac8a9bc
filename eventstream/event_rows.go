package eventstream

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gaplesspg/gapless/internal/keptrows"
	"github.com/gaplesspg/gapless/internal/paging"
	"github.com/gaplesspg/gapless/internal/readbudget"
)

// rowsOf are the rows of a query of events, which are read one by one.
type rowsOf struct{ keptrows.Keeper }

func rowsOn(h Handle) *rowsOf { return &rowsOf{keptrows.Keeper{DBTX: h}} }

// The columns of eventstream.events, in their order, as the server names their types: a domain by what it is made of.
var eventColumnTypes = [...]uint32{
	pgtype.Int8OID, pgtype.Int8OID, pgtype.UUIDOID, pgtype.TimestamptzOID, pgtype.TimestamptzOID, pgtype.Int4OID,
	pgtype.TextOID, pgtype.TextOID, pgtype.TextOID, pgtype.JSONBOID, pgtype.ByteaOID, pgtype.JSONBOID,
}

const (
	// postgresEpoch is the microsecond from which the server counts, 2000-01-01, in microseconds since 1970.
	postgresEpoch = 946_684_800_000_000
	// maxKnownTypes bounds how many event types a scanner remembers.
	maxKnownTypes = 1000
)

// eventScanner reads events from rows that begin with the columns of eventstream.events. Rows in the formats that pgx asks for
// unless it is told otherwise, numbers binary and text as it is, it reads by itself: one allocation for what an event says and, where a row
// differs in it from the one before, one for its stream. Scan would make six, and take three times as long.
type eventScanner struct {
	rows   pgx.Rows
	binary bool
	opened bool
	stream StreamID
	tenant TenantID
	types  map[string]EventType
}

// scan reads the row at hand into e, which shares no memory with it.
func (s *eventScanner) scan(e *Event) error {
	if !s.opened {
		s.open()
	}
	if !s.binary {
		return s.scanWith(e)
	}
	v := s.rows.RawValues()
	if len(v[0]) != 8 || len(v[1]) != 8 || len(v[2]) != 16 || len(v[3]) != 8 || len(v[4]) != 8 || len(v[5]) != 4 {
		return fmt.Errorf("an event's row has numbers of %d, %d, %d, %d, %d and %d bytes: 8, 8, 16, 8, 8 and 4 are known",
			len(v[0]), len(v[1]), len(v[2]), len(v[3]), len(v[4]), len(v[5]))
	}
	e.Position, e.Version = int64(binary.BigEndian.Uint64(v[0])), int64(binary.BigEndian.Uint64(v[1]))
	copy(e.ID[:], v[2])
	e.OccurredAt, e.RecordedAt = timeOf(v[3]), timeOf(v[4])
	e.PartitionID = int(int32(binary.BigEndian.Uint32(v[5])))
	if string(s.stream) != string(v[6]) {
		s.stream = StreamID(v[6])
	}
	if string(s.tenant) != string(v[7]) {
		s.tenant = TenantID(v[7])
	}
	e.StreamID, e.TenantID, e.Type = s.stream, s.tenant, s.typeOf(v[8])
	e.fill(v[9], v[10], v[11])
	return nil
}

// fill takes over payload, data and metadata into one piece of memory.
func (e *Event) fill(payload, data, metadata []byte) {
	if data != nil && string(payload) == "null" {
		payload = nil
	}
	if string(metadata) == erasedMark && data == nil && string(payload) == "null" {
		e.Erased, payload = true, nil
	}
	copies := make(copiedBytes, 0, len(payload)+len(data)+len(metadata))
	e.Payload, e.Data, e.Metadata = copies.of(payload), copies.of(data), copies.of(metadata)
}

// copiedBytes is one piece of memory for copies of several slices. It is made as large as these are together.
type copiedBytes []byte

// of returns a copy, which cannot grow into the next one; nil of nil.
func (c *copiedBytes) of(b []byte) []byte {
	if b == nil {
		return nil
	}
	at := len(*c)
	*c = append(*c, b...)
	return (*c)[at:len(*c):len(*c)]
}

// open looks whether the rows are what scan can read by itself.
func (s *eventScanner) open() {
	fields := s.rows.FieldDescriptions()
	s.opened, s.binary = true, len(fields) >= len(eventColumnTypes)
	for i := 0; s.binary && i < len(eventColumnTypes); i++ {
		format := int16(pgtype.BinaryFormatCode)
		if t := eventColumnTypes[i]; t == pgtype.JSONBOID || t == pgtype.TextOID {
			format = pgtype.TextFormatCode // the text itself
		}
		s.binary = fields[i].Format == format && fields[i].DataTypeOID == eventColumnTypes[i]
	}
	s.types = map[string]EventType{}
}

// scanWith reads the row at hand by pgx, and what comes after the event into more.
func (s *eventScanner) scanWith(e *Event, more ...any) error {
	columns := []any{
		&e.Position, &e.Version, (*[16]byte)(&e.ID), &e.OccurredAt, &e.RecordedAt, &e.PartitionID,
		(*string)(&e.StreamID), (*string)(&e.TenantID), (*string)(&e.Type), (*[]byte)(&e.Payload), &e.Data, (*[]byte)(&e.Metadata),
	}
	if err := s.rows.Scan(append(columns, more...)...); err != nil {
		return unreadable(err)
	}
	e.OccurredAt, e.RecordedAt = e.OccurredAt.UTC(), e.RecordedAt.UTC()
	e.dropNullPayload()
	return nil
}

// typeOf gives a type without a copy of its own for each event.
func (s *eventScanner) typeOf(name []byte) EventType {
	t, ok := s.types[string(name)]
	if !ok {
		t = EventType(name)
		if len(s.types) < maxKnownTypes {
			s.types[string(t)] = t
		}
	}
	return t
}

func timeOf(b []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b)) + postgresEpoch).UTC()
}

// collect reads the rows of a page, which have the columns of eventstream.events in their order, into a buffer, and says why it ended. Rows
// after that are dropped as they come.
func collect[T any](r *rowsOf, buffer []T, event func(*T) *Event, asked int, limit int64) (events []T, end paging.End, err error) {
	defer r.Rows.Close()
	events = buffer[:0]
	scanner, cutter := eventScanner{rows: r.Rows}, paging.NewCutter(limit)
	for r.Rows.Next() {
		if end = cutter.Next(r.Rows.RawValues()); end != paging.EndOfRange {
			break
		}
		var none T
		events = append(events, none)
		if err := scanner.scan(event(&events[len(events)-1])); err != nil {
			return nil, paging.EndOfRange, err
		}
	}
	if end == paging.EndOfRange && len(events) == asked {
		end = paging.EndOfCount
	}
	r.Rows.Close()
	return events, end, r.Rows.Err()
}

func logEvent(e *LogEvent) *Event { return &e.Event }

func streamEvent(e *Event) *Event { return e }

// bytes is what an event takes in memory.
func (e *Event) bytes() int64 {
	return int64(readbudget.EventOverhead + len(e.Payload) + len(e.Data) + len(e.Metadata))
}

// bytesOf is what events take in memory.
func bytesOf(events []LogEvent) int64 {
	bytes := int64(0)
	for i := range events {
		bytes += events[i].bytes()
	}
	return bytes
}
