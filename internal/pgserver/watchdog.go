package pgserver

import "io"

// watchdog cleans up after this process if it dies without doing so, be it by a panic, a signal or SIGKILL. It is a shell
// that reads from a pipe whose other end only this process holds: when the process dies, the read ends.
type watchdog struct {
	pipe io.WriteCloser
	wait func() error
}

// dismiss ends a watchdog whose work was done by others; nil is allowed.
func (w *watchdog) dismiss() {
	if w == nil {
		return
	}
	_, _ = io.WriteString(w.pipe, "done\n")
	_ = w.pipe.Close()
	_ = w.wait()
}
