// Package shown makes values safe to print in errors, which end up in logs: on one line, escaped, and short.
package shown

import (
	"strconv"
	"unicode/utf8"
)

// MaxBytes bounds what an error repeats of a value: a value may be a whole payload.
const MaxBytes = 64

// Quote makes a value safe to print: on one line, escaped, and short.
func Quote(s string) string { return strconv.Quote(Short(s)) }

// Short cuts s to MaxBytes without cutting a character in two. What it returned once, it returns again.
func Short(s string) string {
	const mark = "..."
	if len(s) <= MaxBytes {
		return s
	}
	cut := MaxBytes - len(mark)
	for cut > MaxBytes-len(mark)-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
