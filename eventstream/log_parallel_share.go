package eventstream

// logShare is one of several shares of the log that are read at the same time, each a page ahead from its first on. A share that others wait
// for is the only one that reads, and none runs away.
type logShare struct {
	logAhead
	// events are those of the page at hand that are still to come.
	events []LogEvent
}

// peek gives the share's next event, and waits for its page; nil at the end of the share, or when no more is wanted. left is how many
// events are wanted.
func (s *logShare) peek(left int) (*LogEvent, error) {
	for len(s.events) == 0 {
		if s.page == nil {
			return nil, nil
		}
		var err error
		if s.events, err = s.next(left); err != nil {
			return nil, err
		}
		s.start(left - len(s.events))
	}
	return &s.events[0], nil
}

// take gives what peek gave, and moves on.
func (s *logShare) take() *LogEvent {
	e := &s.events[0]
	s.events = s.events[1:]
	return e
}
