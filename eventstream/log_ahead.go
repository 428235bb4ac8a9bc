package eventstream

// logAhead reads the next page of the log while the last one is gone through: by a reader that has come so far that its pages are as large as
// they get, and on a pool, where another connection is to be had. The memory of two pages is used in turn, and the loop's body gets copies.
type logAhead struct {
	pages *logPages
	read  func(left int, buffer []LogEvent) ([]LogEvent, error)
	may   bool
	// buffers are the page that is gone through, and the one before.
	buffers [2][]LogEvent
	// page is what is read ahead; nil if nothing is.
	page chan logPageRead
}

type logPageRead struct {
	events []LogEvent
	err    error
}

// atEnd says that there is no further page.
func (a *logAhead) atEnd() bool { return a.page == nil && a.pages.atEnd() }

// next gives the next page, which is good until the one after the next is asked for.
func (a *logAhead) next(left int) (events []LogEvent, err error) {
	if a.page != nil {
		read := <-a.page
		a.page = nil
		events, err = read.events, read.err
	} else {
		events, err = a.read(left, a.buffers[1])
	}
	a.buffers[0], a.buffers[1] = events, a.buffers[0]
	return events, err
}

// start begins to read ahead, if there is more to read. No event is read twice or left out: only one page is read at a time.
func (a *logAhead) start(left int) {
	if !a.may || left <= 0 || a.pages.atEnd() || a.pages.size.size < a.pages.size.most {
		return
	}
	page, buffer := make(chan logPageRead, 1), a.buffers[1]
	a.page = page
	go func() {
		events, err := a.read(left, buffer)
		page <- logPageRead{events, err}
	}()
}

// stop waits for what is read ahead: its connection goes back to the pool.
func (a *logAhead) stop() {
	if a.page != nil {
		<-a.page
	}
}
