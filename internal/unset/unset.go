// Package unset tells what a caller has left out: nil in an interface, and the zero value of a field.
package unset

import "reflect"

// IsNil reports whether a value is nil, or holds a nil pointer: an interface that was filled from a nil *pgxpool.Pool is not nil itself.
func IsNil(value any) bool {
	v := reflect.ValueOf(value)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// Default gives a field a value if it has none.
func Default[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
