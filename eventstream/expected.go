package eventstream

import "strconv"

// Expected says what a stream must look like for an append to go through: Any, Exists, Empty or Exact. It is closed: no
// other package can add a kind, so that every kind has a meaning in the database too.
type Expected interface {
	// String returns "any", "exists", "empty" or "exact(5)".
	String() string

	// wire returns the number that the SQL functions take: n >= 0 is exactly n, and the others lie below.
	wire() int64
	// validate returns an *InvalidValueError for an expectation that no stream can meet.
	validate() error
}

// expectation is the type of the expectations that carry no number. Its values are those that travel to the database.
type expectation int64

const (
	// Any expects nothing: the append goes through at every version. It gives up protection against a concurrent writer.
	Any expectation = -1
	// Exists expects at least one event, else the append fails with ErrStreamMissing.
	Exists expectation = -2
	// Empty expects no event yet, else the append fails with ErrStreamExists.
	Empty expectation = -3
)

// String returns "any", "exists" or "empty".
func (e expectation) String() string {
	switch e {
	case Any:
		return "any"
	case Exists:
		return "exists"
	case Empty:
		return "empty"
	default:
		return "invalid(" + strconv.FormatInt(int64(e), 10) + ")"
	}
}

func (e expectation) wire() int64 { return int64(e) }

// A caller can make others out of the constants, as in Any+1, though not by accident.
func (e expectation) validate() error {
	if e < Empty || e > Any {
		return invalidValue("expected version", e.String(), "Any, Exists, Empty or Exact(n)")
	}
	return nil
}

// exact is a type of its own so that Exact(-1) is an error rather than another spelling of Any.
type exact int64

// Exact expects the stream to be at version, which counts its events: Exact(0) is a stream without any. Otherwise the append
// fails with a *VersionConflictError. A negative version is reported by the append, as an *InvalidValueError.
func Exact(version int64) Expected { return exact(version) }

// String returns "exact(5)".
func (e exact) String() string { return "exact(" + strconv.FormatInt(int64(e), 10) + ")" }

func (e exact) wire() int64 { return int64(e) }

func (e exact) validate() error {
	if e < 0 {
		return invalidValue("expected version", strconv.FormatInt(int64(e), 10), "0 or more")
	}
	return nil
}

// expectedWire returns the number that stands for e in SQL. A nil Expected is refused rather than read as Any: leaving
// the expectation out must not switch the protection off.
func expectedWire(e Expected) (int64, error) {
	if e == nil {
		return 0, invalidValue("expected version", "nil", "Any, Exists, Empty or Exact(n)")
	}
	if err := e.validate(); err != nil {
		return 0, err
	}
	return e.wire(), nil
}
