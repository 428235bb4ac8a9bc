package snapshot

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

// Observer is told what becomes of snapshots. It is called by whoever does the work, a Load among them, by several goroutines at once: it
// should be quick. A panic of it is ignored.
type Observer func(Notice)

// NoticeKind says what a Notice is about.
type NoticeKind int

const (
	// Saved says that a snapshot was made and kept.
	Saved NoticeKind = iota + 1
	// Superseded says that a snapshot was made, and a newer one existed.
	Superseded
	// Ignored says that a snapshot was found and could not be used: Status says why. The stream was read whole.
	Ignored
	// Failed says that a snapshot could not be made. Nothing is made for a while, from 1 s after the first failure to 5 min.
	Failed
	// Dropped says that a snapshot was due and not made, since Config.QueueSize others waited.
	Dropped
)

var noticeKinds = [...]string{1: "saved", "superseded", "ignored", "failed", "dropped"}

// String returns the kind in a word or two.
func (k NoticeKind) String() string {
	if k < 1 || int(k) >= len(noticeKinds) {
		return "NoticeKind(" + strconv.Itoa(int(k)) + ")"
	}
	return noticeKinds[k]
}

// Notice is what an Observer is told.
type Notice struct {
	// Kind says what happened.
	Kind NoticeKind
	// Name and StreamID say to which snapshot.
	Name     string
	StreamID eventstream.StreamID
	// Version is that of the stream in the snapshot, and Bytes what its state takes; 0 where nothing is known of them.
	Version int64
	Bytes   int
	// Took is how long it took to make.
	Took time.Duration
	// Status says why a snapshot was ignored.
	Status eventstream.SnapshotStatus
	// Err is why it failed, or why a state could not be decoded.
	Err error
}

func (s *Store[S]) tell(n Notice) {
	defer func() { _ = recover() }()
	n.Name = s.config.Name
	s.config.Observer(n)
}

// SlogObserver writes notices to a logger; nil is slog.Default(), as it is by then. Warnings are what failed, and snapshots that contradict
// the events or are damaged; the rest is for debugging.
func SlogObserver(logger *slog.Logger) Observer {
	return func(n Notice) {
		to := logger
		if to == nil {
			to = slog.Default()
		}
		level := slog.LevelDebug
		if n.Kind == Failed || n.Kind == Ignored && n.Status != eventstream.SnapshotOtherSchema {
			level = slog.LevelWarn
		}
		attrs := []slog.Attr{
			slog.String("snapshot", n.Name), slog.String("stream_id", string(n.StreamID)), slog.Int64("version", n.Version),
			slog.Int("bytes", n.Bytes), slog.Duration("took", n.Took),
		}
		if n.Kind == Ignored {
			attrs = append(attrs, slog.String("why", n.Status.String()))
		}
		if n.Err != nil {
			attrs = append(attrs, slog.String("error", n.Err.Error()))
		}
		to.LogAttrs(context.Background(), level, "gapless: snapshot "+n.Kind.String(), attrs...)
	}
}
