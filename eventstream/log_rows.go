package eventstream

import "github.com/gaplesspg/gapless/internal/readbudget"

// pageEnd is why a page ended.
type pageEnd int

const (
	// endOfRange: there is no further event in the range that was asked for.
	endOfRange pageEnd = iota
	// endOfCount: it has as many events as were asked for.
	endOfCount
	// endOfBytes: the next event would have been too much.
	endOfBytes
	// endAtLarge: the server left out what the next event says, since it would have been too much.
	endAtLarge
)

// The columns of eventstream.events, from 0, that an event's size is in.
const payloadColumn, dataColumn, metadataColumn = 9, 10, 11

// pageCutter ends a page by bytes: it looks at each row before it is read. So a page that the server judged too light stays in bounds too.
type pageCutter struct {
	limit, bytes int64
	count        int
}

// next counts the row at hand in, or says why it is not part of the page. The first event always is, if the server sent it.
func (c *pageCutter) next(row [][]byte) pageEnd {
	if row[payloadColumn] == nil {
		return endAtLarge
	}
	bytes := int64(readbudget.EventOverhead + len(row[payloadColumn]) + len(row[dataColumn]) + len(row[metadataColumn]))
	if c.count > 0 && c.bytes+bytes > c.limit {
		return endOfBytes
	}
	c.bytes += bytes
	c.count++
	return endOfRange
}

// collect reads the rows of a page, which have the columns of eventstream.events in their order, into a buffer, and says why it ended. Rows
// after that are dropped as they come.
func collect[T any](r *rowsOf, buffer []T, event func(*T) *Event, asked int, limit int64) (events []T, end pageEnd, err error) {
	defer r.Rows.Close()
	events = buffer[:0]
	scanner, cutter := eventScanner{rows: r.Rows}, pageCutter{limit: limit}
	for r.Rows.Next() {
		if end = cutter.next(r.Rows.RawValues()); end != endOfRange {
			break
		}
		var none T
		events = append(events, none)
		if err := scanner.scan(event(&events[len(events)-1])); err != nil {
			return nil, endOfRange, err
		}
	}
	if end == endOfRange && len(events) == asked {
		end = endOfCount
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
