package eventstream

// logShare is one of several shares of the log that are read at the same time: a page of it is gone through while the next one is read. The
// memory of two pages is used in turn, so a share that others wait for is the only one that reads, and none runs away.
type logShare struct {
	pages *logPages
	read  func(p *logPages, left int, buffer []LogEvent) ([]LogEvent, error)
	// events are those of the page at hand that are still to come.
	events []LogEvent
	// buffers are the page at hand, and the one before.
	buffers [2][]LogEvent
	// page is what is read ahead; nil if nothing is, since there is no more, or no more is wanted.
	page chan logPageRead
}

// start begins to read the next page, if there is one and the page at hand has fewer events than are wanted.
func (s *logShare) start(left int) {
	left -= len(s.events)
	if left <= 0 || s.pages.atEnd() {
		return
	}
	page, buffer := make(chan logPageRead, 1), s.buffers[1]
	s.page = page
	go func() {
		events, err := s.read(s.pages, left, buffer)
		page <- logPageRead{events, err}
	}()
}

// peek gives the share's next event, and waits for its page; nil at the end of the share. left is how many events are wanted.
func (s *logShare) peek(left int) (*LogEvent, error) {
	for len(s.events) == 0 {
		if s.page == nil {
			return nil, nil
		}
		read := <-s.page
		s.page = nil
		if read.err != nil {
			return nil, read.err
		}
		s.events = read.events
		s.buffers[0], s.buffers[1] = read.events, s.buffers[0]
		s.start(left)
	}
	return &s.events[0], nil
}

// take gives what peek gave, and moves on.
func (s *logShare) take() *LogEvent {
	e := &s.events[0]
	s.events = s.events[1:]
	return e
}

// stop waits for what is read ahead.
func (s *logShare) stop() {
	if s.page != nil {
		<-s.page
	}
}
