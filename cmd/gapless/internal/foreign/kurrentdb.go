package foreign

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/ndjson"
	"github.com/gaplesspg/gapless/eventstream"
)

// KurrentDB is a history that was exported from KurrentDB, or EventStoreDB, as an event a line: as its clients print it (an event in the field
// event, numbers as revision), as its HTTP interface does (data as text, embed=body), or as most tools do.
type KurrentDB struct {
	open    func() (io.ReadCloser, error)
	options Options
	leftOut map[string]int64
}

// NewKurrentDB reads what open gives, anew for each time that the events are gone through.
func NewKurrentDB(open func() (io.ReadCloser, error), options Options) *KurrentDB {
	return &KurrentDB{open: open, options: options, leftOut: map[string]int64{}}
}

// LeftOut counts what was passed over.
func (k *KurrentDB) LeftOut() map[string]int64 { return k.leftOut }

// Events reads the lines.
func (k *KurrentDB) Events(ctx context.Context) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		clear(k.leftOut)
		in, err := k.open()
		if err != nil {
			yield(eventstream.Event{}, err)
			return
		}
		defer in.Close()
		n := int64(0)
		for text, err := range ndjson.Lines(in) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(eventstream.Event{}, err)
				return
			}
			if n++; len(bytes.TrimSpace(text)) == 0 {
				continue
			}
			event, why, err := k.event(text, fmt.Sprintf("line %d", n))
			if why != "" {
				k.leftOut[why]++
				continue
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

// text is a field that some write as a text and others as a number.
type text string

// UnmarshalJSON takes both.
func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		err := json.Unmarshal(data, &s)
		*t = text(s)
		return err
	}
	if string(data) != "null" {
		*t = text(data)
	}
	return nil
}

// kurrentLine is an event as one of the tools writes it; each field has several names.
type kurrentLine struct {
	Event, Content *kurrentLine

	EventID       string `json:"eventId"`
	ID            string `json:"id"`
	EventType     string `json:"eventType"`
	Type          string `json:"type"`
	StreamID      string `json:"streamId"`
	EventStreamID string `json:"eventStreamId"`
	Stream        string `json:"stream"`

	EventNumber    text `json:"eventNumber"`
	Revision       text `json:"revision"`
	StreamRevision text `json:"streamRevision"`

	Created   text `json:"created"`
	Timestamp text `json:"timestamp"`
	Updated   text `json:"updated"`

	IsJSON      *bool  `json:"isJson"`
	ContentType string `json:"contentType"`

	Data           json.RawMessage `json:"data"`
	Metadata       json.RawMessage `json:"metadata"`
	UserMetadata   json.RawMessage `json:"userMetadata"`
	CustomMetadata json.RawMessage `json:"customMetadata"`
}

func first[T ~string](values ...T) T {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// event makes an event of a line, or says why it is left out.
func (k *KurrentDB) event(line []byte, where string) (e eventstream.Event, why string, err error) {
	var in kurrentLine
	if err := json.Unmarshal(line, &in); err != nil {
		return e, "", refusef(BadLine, where, "it is no event: %w", ndjson.Explain(err))
	}
	created := first(in.Created, in.Timestamp, in.Updated)
	for in.Event != nil || in.Content != nil {
		if in.Event == nil {
			in.Event = in.Content
		}
		in = *in.Event
		created = first(in.Created, in.Timestamp, in.Updated, created)
	}
	stream, kind := first(in.StreamID, in.EventStreamID, in.Stream), first(in.EventType, in.Type)
	if isMangled(line, stream+kind) {
		return e, "", refusef(BadLine, where, "its names are no UTF-8")
	}
	if why := k.system(stream, kind); why != "" {
		return e, why, nil
	}
	number := first(in.EventNumber, in.Revision, in.StreamRevision)
	version, bad := strconv.ParseInt(string(number), 10, 64)
	if bad != nil || version < 0 || version == math.MaxInt64 {
		return e, "", refusef(BadVersion, where, "eventNumber %q of stream %q: must be a whole number from 0", number, shorten(stream))
	}
	where += ", " + numbered(stream, version)
	e = eventstream.Event{StreamID: eventstream.StreamID(k.options.Prefix + stream), Type: eventstream.EventType(kind), Version: version + 1}
	if e.ID, bad = uuid.Parse(first(in.EventID, in.ID)); bad != nil {
		return e, "", refusef(BadID, where, "eventId %q is no UUID", first(in.EventID, in.ID))
	}
	if e.OccurredAt, bad = kurrentTime(string(created)); bad != nil {
		return e, "", &Refused{BadTime, where, bad}
	}
	if bad = kurrentContent(&e, &in); bad != nil {
		return e, "", &Refused{BadPayload, where, bad}
	}
	if e.Metadata, bad = kurrentMetadata(&in); bad != nil {
		return e, "", &Refused{BadMetadata, where, bad}
	}
	if k.options.Renumber {
		e.Version = 0
		if e.Metadata, bad = addMetadata(e.Metadata, "source_version", version); bad != nil {
			return e, "", &Refused{BadMetadata, where, bad}
		}
	}
	return e, "", nil
}

// isMangled says of names that a decoder put the mark of what is no character into them.
func isMangled(line []byte, names string) bool {
	const mark = "\uFFFD"
	return strings.Contains(names, mark) && !bytes.Contains(line, []byte(mark)) && !bytes.Contains(bytes.ToLower(line), []byte(`\ufffd`))
}

// system says why an event is none of the history: the store wrote it for itself.
func (k *KurrentDB) system(stream, kind string) string {
	switch {
	case kind == "$>" || kind == "$@":
		return "links"
	case kind == "$streamDeleted":
		return "marks of deleted streams"
	case k.options.System:
		return ""
	case kind == "$metadata" || strings.HasPrefix(stream, "$$"):
		return "metadata of streams"
	case strings.HasPrefix(stream, "$") || strings.HasPrefix(kind, "$"):
		return "system events"
	}
	return ""
}
