package eventstreamtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gaplesspg/gapless/eventstream"
)

// asStored is an event as the database gives it back: JSON as jsonb prints it, times to the microsecond, metadata that are there.
func asStored(e eventstream.Event) eventstream.Event {
	e = e.Clone()
	e.Payload, e.Metadata = printed(e.Payload), printed(e.Metadata)
	if e.Metadata == nil {
		e.Metadata = json.RawMessage("{}")
	}
	if e.Data != nil && string(e.Payload) == "null" {
		e.Payload = nil
	}
	e.OccurredAt = e.OccurredAt.UTC().Truncate(1000)
	return e
}

// printed is JSON as jsonb prints it: keys by length and then by bytes, the last of equal ones, numbers without exponents.
func printed(text json.RawMessage) json.RawMessage { return printJSON(text, false) }

// samePayload compares as jsonb does, to which 1.0 and 1 are the same number. No payload and null are the same column.
func samePayload(a, b json.RawMessage) bool {
	orNull := func(text json.RawMessage) json.RawMessage {
		if text == nil {
			return json.RawMessage("null")
		}
		return printJSON(text, true)
	}
	return bytes.Equal(orNull(a), orNull(b))
}

func printJSON(text json.RawMessage, trim bool) json.RawMessage {
	if text == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return bytes.Clone(text) // Validate has seen that it is JSON.
	}
	p := jsonPrinter{trim: trim}
	p.print(value)
	return p.Bytes()
}

type jsonPrinter struct {
	bytes.Buffer
	// trim leaves out zeros at the end of fractions.
	trim bool
}

func (p *jsonPrinter) print(value any) {
	switch v := value.(type) {
	case map[string]any:
		p.WriteByte('{')
		keys := slices.SortedFunc(maps.Keys(v), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
		for i, key := range keys {
			if i > 0 {
				p.WriteString(", ")
			}
			p.printText(key)
			p.WriteString(": ")
			p.print(v[key])
		}
		p.WriteByte('}')
	case []any:
		p.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				p.WriteString(", ")
			}
			p.print(element)
		}
		p.WriteByte(']')
	case string:
		p.printText(v)
	case json.Number:
		p.WriteString(plainNumber(v.String(), p.trim))
	case nil:
		p.WriteString("null")
	default:
		fmt.Fprint(p, v)
	}
}

func (p *jsonPrinter) printText(s string) {
	p.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			p.WriteByte('\\')
			p.WriteRune(r)
		case '\b':
			p.WriteString(`\b`)
		case '\f':
			p.WriteString(`\f`)
		case '\n':
			p.WriteString(`\n`)
		case '\r':
			p.WriteString(`\r`)
		case '\t':
			p.WriteString(`\t`)
		default:
			if r < ' ' {
				fmt.Fprintf(p, `\u%04x`, r)
			} else {
				p.WriteRune(r)
			}
		}
	}
	p.WriteByte('"')
}
