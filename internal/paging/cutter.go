package paging

import "github.com/gaplesspg/gapless/internal/readbudget"

// The columns of eventstream.events, from 0, that an event's size is in.
const payloadColumn, dataColumn, metadataColumn = 9, 10, 11

// Cutter ends a page by bytes: it looks at each row before it is read. So a page that the server judged too light stays in bounds too.
type Cutter struct {
	limit, bytes int64
	count        int
}

// NewCutter ends a page of so many bytes.
func NewCutter(limit int64) Cutter { return Cutter{limit: limit} }

// Next counts the row at hand in, which has the columns of eventstream.events in their order, or says why it is not part of the page. The
// first event always is, if the server sent it.
func (c *Cutter) Next(row [][]byte) End {
	if row[payloadColumn] == nil || row[metadataColumn] == nil {
		return EndAtLarge
	}
	bytes := int64(readbudget.EventOverhead + len(row[payloadColumn]) + len(row[dataColumn]) + len(row[metadataColumn]))
	if c.count > 0 && c.bytes+bytes > c.limit {
		return EndOfBytes
	}
	c.bytes += bytes
	c.count++
	return EndOfRange
}
