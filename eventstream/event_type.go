package eventstream

import "strings"

const (
	maxEventTypeBytes = 128
	eventTypeRule     = "1 to 128 bytes: a letter, then letters, digits and _ - . : /"
)

// EventType says what kind of thing happened: an ASCII letter, then ASCII letters, digits and _ - . : / up to 128 bytes. By
// convention it is lower-case words with dots, "order.placed"; teams that migrate keep the names they have.
//
// The database holds the same rule in the domain eventstream.event_type.
type EventType string

// NewEventType returns s as an EventType, or an *InvalidValueError that names the rule it breaks.
func NewEventType(s string) (EventType, error) {
	t := EventType(s)
	if err := t.Validate(); err != nil {
		return "", err
	}
	return t, nil
}

// Validate returns an *InvalidValueError if the type breaks the rule of EventType, else nil.
func (t EventType) Validate() error {
	if t == "" || len(t) > maxEventTypeBytes || !isASCIILetter(t[0]) {
		return invalidValue("event_type", string(t), eventTypeRule)
	}
	for i := 1; i < len(t); i++ {
		if c := t[i]; !isASCIILetterOrDigit(c) && strings.IndexByte("_-.:/", c) < 0 {
			return invalidValue("event_type", string(t), eventTypeRule)
		}
	}
	return nil
}

// String returns the type as it is.
func (t EventType) String() string { return string(t) }

// UnmarshalText takes text as the type after the checks of NewEventType. On error the type keeps its value.
func (t *EventType) UnmarshalText(text []byte) error {
	parsed, err := NewEventType(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}
