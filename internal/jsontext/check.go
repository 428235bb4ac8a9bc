// Package jsontext knows what JSON PostgreSQL's jsonb can hold, and how large it is when the server prints it. It knows no events.
package jsontext

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gaplesspg/gapless/internal/shown"
)

// What PostgreSQL's numeric, which jsonb keeps numbers in, can hold.
const (
	maxIntegerDigits  = 131072
	maxFractionDigits = 16383
	maxExponent       = 1 << 29
)

// Fault is what is wrong with a text.
type Fault struct {
	// Value is the part of it that is, and Rule what it must be.
	Value, Rule string
}

// Error says both.
func (f *Fault) Error() string { return shown.Quote(f.Value) + " must be " + f.Rule }

// Check says what is wrong with text, unless it is JSON that jsonb can hold.
//
// encoding/json accepts more: it lets invalid UTF-8 pass, and jsonb refuses NUL characters, halves of surrogate pairs, and
// numbers beyond numeric. Judged here, the mistake is reported where it was made, and names the field.
func Check(text []byte) *Fault {
	if !utf8.Valid(text) {
		return &Fault{string(text), "valid UTF-8"}
	}
	if !json.Valid(text) {
		return &Fault{string(text), "valid JSON; bytes that are not JSON belong in an event's Data"}
	}
	for i := 0; i < len(text); {
		n, rule := 1, ""
		switch c := text[i]; {
		case c == '"':
			n, rule = checkString(text[i:])
		case c == '-' || '0' <= c && c <= '9':
			n, rule = checkNumber(text[i:])
		}
		if rule != "" {
			// The end of a long string is what is wrong with it.
			return &Fault{string(text[max(i, i+n-shown.MaxBytes) : i+n]), rule}
		}
		i += n
	}
	return nil
}

// checkString judges the JSON string that text starts with, in JSON known to be valid. It returns the string's length and
// an empty rule, or the length up to the escape that jsonb refuses and the rule it breaks.
func checkString(text []byte) (int, string) {
	for i := 1; ; {
		switch text[i] {
		case '"':
			return i + 1, ""
		case '\\':
			n, rule := checkEscape(text[i:])
			if rule != "" {
				return i + n, rule
			}
			i += n
		default:
			i++
		}
	}
}

// checkEscape judges the escape that text starts with, and returns its length. The two halves of a surrogate pair are one.
func checkEscape(text []byte) (int, string) {
	r, ok := escapedRune(text)
	switch {
	case !ok:
		return 2, ""
	case r == 0:
		return 6, `without the character NUL (\u0000), which PostgreSQL's jsonb cannot hold`
	case !utf16.IsSurrogate(r):
		return 6, ""
	}
	if low, ok := escapedRune(text[6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
		return 12, ""
	}
	return 6, `without half a surrogate pair (as \ud800), which stands for no character and which jsonb refuses`
}

// escapedRune reads a \uXXXX escape at the start of text, if there is one.
func escapedRune(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}

// checkNumber judges the JSON number that text starts with, and returns its length.
func checkNumber(text []byte) (int, string) {
	n := numberLength(text)
	if !fitsNumeric(text[:n]) {
		return n, "a number that PostgreSQL's numeric can hold: 131072 digits before the point, 16383 after it"
	}
	return n, ""
}

// fitsNumeric reports whether a JSON number has no more digits than numeric holds once its exponent is written out.
func fitsNumeric(number []byte) bool {
	mantissa, exponent := bytes.TrimPrefix(number, []byte("-")), 0
	if i := bytes.IndexAny(mantissa, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(string(mantissa[i+1:])); err != nil || exponent > maxExponent || exponent < -maxExponent {
			return false
		}
		mantissa = mantissa[:i]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	if len(fraction)-exponent > maxFractionDigits {
		return false
	}
	// Leading zeros take no room, and zero takes none at all.
	digits := bytes.TrimLeft(bytes.Join([][]byte{whole, fraction}, nil), "0")
	return len(digits) == 0 || len(digits)-len(fraction)+exponent <= maxIntegerDigits
}

// IsObject reports whether text, known to be valid JSON, is an object.
func IsObject(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
}
