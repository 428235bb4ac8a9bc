package command

import (
	"encoding/base64"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// eventColumns are those of read and log.
var eventColumns = [...]string{"#POSITION", "STREAM", "#VERSION", "TYPE", "OCCURRED AT", "CONTENT"}

// addEvent writes an event; value is what --json shows of it.
func addEvent(list *output.List, value any, e *eventstream.Event) error {
	return list.Add(value, output.Int(e.Position), string(e.StreamID), output.Int(e.Version), string(e.Type), output.Time(e.OccurredAt), content(e))
}

// content is what an event says, as text.
func content(e *eventstream.Event) string {
	if e.Erased {
		return "(erased)"
	}
	text := string(e.Payload)
	if e.Data == nil {
		return text
	}
	if text != "" {
		text += " "
	}
	return text + "base64:" + base64.StdEncoding.EncodeToString(e.Data)
}
