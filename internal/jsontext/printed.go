package jsontext

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// printedNumber is how many bytes numeric prints of a JSON number that it can hold.
func printedNumber(number []byte) int {
	mantissa, exponent := number, 0
	if e := bytes.IndexAny(number, "eE"); e >= 0 {
		mantissa = number[:e]
		exponent, _ = strconv.Atoi(string(number[e+1:]))
	}
	mantissa, negative := bytes.CutPrefix(mantissa, []byte("-"))
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	size := 1
	if digits := bytes.TrimLeft(bytes.Join([][]byte{whole, fraction}, nil), "0"); len(digits) > 0 {
		size = max(1, len(digits)-len(fraction)+exponent)
		if negative {
			size++
		}
	}
	if scale := len(fraction) - exponent; scale > 0 {
		size += 1 + scale
	}
	return size
}

// printer says how many bytes jsonb prints of valid JSON, without printing it.
type printer struct {
	text []byte
	at   int
}

func (p *printer) value() int {
	p.space()
	switch c := p.text[p.at]; {
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == '"':
		return printedString(p.take(stringLength(p.text[p.at:])))
	case c == '-' || '0' <= c && c <= '9':
		return printedNumber(p.take(numberLength(p.text[p.at:])))
	case c == 'f':
		return len(p.take(len("false")))
	default:
		return len(p.take(len("true"))) // or null
	}
}

// array is printed as [1, 2].
func (p *printer) array() int {
	size := len("[]")
	for p.at++; p.more(']'); {
		if size > len("[]") {
			size += len(", ")
		}
		size += p.value()
	}
	return size
}

// object is printed as {"a": 1, "b": 2}. Of a key that comes twice, the last value counts.
func (p *printer) object() int {
	size := len("{}")
	members := map[string]int{}
	for p.at++; p.more('}'); {
		p.space()
		var key string
		token := p.take(stringLength(p.text[p.at:]))
		_ = json.Unmarshal(token, &key) // known to be valid
		p.space()
		p.at++ // the colon
		before, again := members[key]
		members[key] = p.value()
		if size += members[key] - before; again {
			continue
		}
		if len(members) > 1 {
			size += len(", ")
		}
		size += printedString(token) + len(": ")
	}
	return size
}

// more says whether an element comes before the end, and moves to it, or over the end.
func (p *printer) more(end byte) bool {
	p.space()
	if p.text[p.at] == ',' {
		p.at++
	}
	if p.text[p.at] == end {
		p.at++
		return false
	}
	return true
}

func (p *printer) take(n int) []byte {
	p.at += n
	return p.text[p.at-n : p.at]
}

func (p *printer) space() {
	for p.at < len(p.text) && bytes.IndexByte([]byte(" \t\r\n"), p.text[p.at]) >= 0 {
		p.at++
	}
}

// printedString is how many bytes jsonb prints of a JSON string: as it is, but for escapes that need not be.
func printedString(token []byte) int {
	if bytes.IndexByte(token, '\\') < 0 {
		return len(token)
	}
	var s string
	_ = json.Unmarshal(token, &s) // known to be valid
	size := len(`""`) + len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t':
			size++
		case c < ' ':
			size += len(`\u0001`) - 1
		}
	}
	return size
}
