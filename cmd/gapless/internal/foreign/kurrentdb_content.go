package foreign

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// ticksFrom is the first number that counts ticks of 100 ns since 1970 rather than milliseconds: milliseconds come there in the year 33658.
	ticksFrom     = int64(1_000_000_000_000_000)
	ticksPerMicro = 10
)

// kurrentTime reads a time as RFC 3339 has it, to 100 ns, or a number: milliseconds or ticks. What is less than a microsecond is cut off.
func kurrentTime(text string) (time.Time, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n >= ticksFrom {
			return time.UnixMicro(n / ticksPerMicro).UTC(), nil
		}
		return time.UnixMilli(n).UTC(), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("created %q is no time as 2026-01-31T12:00:00Z, and no number of milliseconds", shorten(text))
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// kurrentContent takes JSON as it is, JSON that stands in a text, and bytes in base64 or as numbers.
func kurrentContent(e *eventstream.Event, in *kurrentLine) error {
	binary := in.IsJSON != nil && !*in.IsJSON || in.IsJSON == nil && in.ContentType != "" && !strings.Contains(in.ContentType, "json")
	if !binary {
		e.Payload = inner(in.Data)
		if e.Payload == nil {
			e.Payload = json.RawMessage("null")
		}
		return nil
	}
	var buffer struct {
		Type string
		Data []int
	}
	var encoded string
	switch {
	case len(in.Data) == 0 || string(in.Data) == "null":
		e.Data = []byte{}
		return nil
	case json.Unmarshal(in.Data, &encoded) == nil:
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return errors.New("data that is not JSON must be in base64")
		}
		e.Data = data
		return nil
	case json.Unmarshal(in.Data, &buffer) == nil && buffer.Type == "Buffer":
		e.Data = make([]byte, 0, len(buffer.Data))
		for _, b := range buffer.Data {
			if b < 0 || b > math.MaxUint8 {
				return fmt.Errorf("%d in a Buffer is no byte", b)
			}
			e.Data = append(e.Data, byte(b))
		}
		return nil
	}
	return errors.New("data that is not JSON must be in base64, or a Buffer")
}

// inner is an object or an array that stands in a text, as the HTTP interface writes it. Another text is a text.
func inner(value json.RawMessage) json.RawMessage {
	var s string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return value
	}
	trimmed := strings.TrimSpace(s)
	if trimmed != "" && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid([]byte(trimmed)) {
		return json.RawMessage(trimmed)
	}
	return value
}

// kurrentMetadata is what the application gave. None may be null, or an empty text.
func kurrentMetadata(in *kurrentLine) (json.RawMessage, error) {
	for _, value := range []json.RawMessage{in.CustomMetadata, in.UserMetadata, in.Metadata} {
		if value = inner(value); len(value) > 0 && string(value) != "null" && string(value) != `""` {
			if value[0] != '{' {
				return nil, fmt.Errorf("metadata %s: must be a JSON object", shorten(string(value)))
			}
			return value, nil
		}
	}
	return nil, nil
}
