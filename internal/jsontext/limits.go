package jsontext

import (
	"bytes"
	"strconv"
)

const (
	// MaxBytes bounds JSON as the text that the database prints, with the exponents of numbers written out: it prints 1e100 as 101 digits.
	MaxBytes = 64_000_000
	// MaxDepth bounds how deep arrays and objects are nested.
	MaxDepth = 1000
)

// alwaysFits is a length of JSON below which it keeps both bounds: a level takes two bytes, and 131072 digits nine (1e131071,).
const alwaysFits = 2 * MaxDepth

const limitsRule = "at most 64000000 bytes as text, with the exponents of numbers written out, and 1000 levels of arrays and objects"

// CheckLimits judges valid JSON by its size and depth.
func CheckLimits(text []byte) *Fault {
	if len(text) < alwaysFits {
		return nil
	}
	bound, depth := boundsOf(text)
	if depth > MaxDepth {
		return &Fault{strconv.Itoa(depth) + " levels", limitsRule}
	}
	if bound <= MaxBytes {
		return nil
	}
	// Only now is it worth knowing exactly: keys that come twice are printed once, and escapes shrink.
	if size := (&printer{text: text}).value(); size > MaxBytes {
		return &Fault{strconv.Itoa(size) + " bytes as text", limitsRule}
	}
	return nil
}

// boundsOf returns what valid JSON has at most as the text that jsonb prints, and how deep it is. jsonb puts a space after each comma and
// colon, and writes exponents out; nothing else gets longer.
func boundsOf(text []byte) (size, depth int) {
	size = len(text)
	for i, level := 0, 0; i < len(text); {
		n := 1
		switch c := text[i]; {
		case c == '"':
			n = stringLength(text[i:])
		case c == '[' || c == '{':
			level++
			depth = max(depth, level)
		case c == ']' || c == '}':
			level--
		case c == ',' || c == ':':
			size++
		case c == '-' || '0' <= c && c <= '9':
			n = numberLength(text[i:])
			if bytes.ContainsAny(text[i:i+n], "eE") {
				size += max(0, printedNumber(text[i:i+n])-n)
			}
		}
		i += n
	}
	return size, depth
}

// stringLength is the length of the JSON string that text starts with.
func stringLength(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

// numberLength is the length of the JSON number that text starts with.
func numberLength(text []byte) int {
	n := 0
	for n < len(text) && bytes.IndexByte([]byte("+-.eE0123456789"), text[n]) >= 0 {
		n++
	}
	return n
}
