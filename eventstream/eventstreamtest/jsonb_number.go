package eventstreamtest

import (
	"strconv"
	"strings"
)

// plainNumber is a JSON number as PostgreSQL's numeric prints it: without an exponent, with as many digits behind the point as it was given.
func plainNumber(text string, trim bool) string {
	mantissa, exponent := text, 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa = text[:at]
		exponent, _ = strconv.Atoi(text[at+1:])
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits, scale := whole+fraction, len(fraction)-exponent
	switch {
	case scale <= 0:
		digits, scale = digits+strings.Repeat("0", -scale), 0
	case scale >= len(digits):
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	whole, fraction = strings.TrimLeft(digits[:len(digits)-scale], "0"), digits[len(digits)-scale:]
	if trim {
		fraction = strings.TrimRight(fraction, "0")
	}
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if negative && strings.Trim(whole, "0.") != "" {
		return "-" + whole
	}
	return whole
}
