package eventstream

// EventType says what kind of thing happened: 1 to 128 bytes of valid UTF-8, without control characters, and without white space at
// either end. By convention it is lower-case words with dots, "order.placed"; teams that migrate keep the names they have.
//
// The database holds the same rule (eventstream.is_name).
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
	if !validName(string(t)) {
		return invalidValue("event_type", string(t), nameRule)
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

// UnmarshalJSON takes a JSON string as the type after the checks of NewEventType. On error the type keeps its value.
func (t *EventType) UnmarshalJSON(data []byte) error {
	return unmarshalName("event_type", data, t.UnmarshalText)
}
