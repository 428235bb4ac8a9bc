package eventstream

import "github.com/gaplesspg/gapless/internal/readbudget"

import "context"

// logAhead reads the next page of the log while the last one is gone through: by a reader that has come so far that its pages are as large as
// they get, and on a pool, where another connection is to be had. The memory of two pages is used in turn, and the loop's body gets copies.
type logAhead struct {
	pages  *logPages
	repo   *Repository
	handle Handle
	may    bool
	// share counts the bytes of both pages, and held is those of the one that is gone through.
	share *readbudget.Share
	held  int64
	// buffers are the page that is gone through, and room for the next one.
	buffers [2][]LogEvent
	// page is what is read ahead, and cancel ends that; nil if nothing is.
	page   chan logPageRead
	cancel context.CancelFunc
}

type logPageRead struct {
	events []LogEvent
	bytes  int64
	err    error
}

// atEnd says that there is no further page.
func (a *logAhead) atEnd() bool { return a.page == nil && a.pages.atEnd() }

// next gives the next page, which is good until it is called again.
func (a *logAhead) next(ctx context.Context, left int) ([]LogEvent, error) {
	clear(a.buffers[0]) // or what these events say would stay in memory
	a.share.Release(a.held)
	a.held = 0
	var read logPageRead
	if a.page != nil {
		read = <-a.page
		a.page = nil
		a.cancel()
	} else {
		reserved, err := a.share.Reserve(ctx) // at once, since nothing is held
		if err != nil {
			return nil, err
		}
		read = a.read(ctx, left, reserved, a.buffers[1])
	}
	a.held = read.bytes
	a.buffers[0], a.buffers[1] = read.events, a.buffers[0]
	return read.events, read.err
}

// read reads a page for which bytes are reserved.
func (a *logAhead) read(ctx context.Context, left int, reserved int64, buffer []LogEvent) logPageRead {
	events, err := a.pages.next(ctx, a.repo, a.handle, left, reserved, buffer)
	bytes := bytesOf(events)
	a.share.Keep(reserved, bytes)
	return logPageRead{events, bytes, err}
}

// start begins to read ahead, if there is more to read, and room for it. No event is read twice or left out: only one page is read at a time.
func (a *logAhead) start(ctx context.Context, left int) {
	if !a.may || left <= 0 || a.pages.atEnd() || !a.pages.size.grown() {
		return
	}
	reserved, ok := a.share.TryReserve()
	if !ok {
		return
	}
	page, buffer := make(chan logPageRead, 1), a.buffers[1]
	a.page = page
	ctx, a.cancel = context.WithCancel(ctx)
	go func() { page <- a.read(ctx, left, reserved, buffer) }()
}

// stop ends what is read ahead: its connection goes back to the pool, or, if it was in the middle of a statement, which the server is told
// to cancel, it is closed.
func (a *logAhead) stop() {
	if a.page != nil {
		a.cancel()
		<-a.page
	}
	a.share.Close()
}
