package subscription

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/internal/pgerr"
)

// storeTimeout is how long the store may take to answer before a try is taken for one that it is to blame for.
const storeTimeout = 2 * time.Second

// verdict is what a failure means for the events that a handler failed on.
type verdict struct {
	// permanent says that no further try can help, counts that this one speaks against the event.
	permanent, counts bool
	// asked says that the handler itself wants the same events again, after a pause if it named one.
	asked bool
	after time.Duration
}

// judge is what an error of a handler means. lost says that the connection of the transaction that it was given is gone.
func judge(err error, lost bool, own func(*pgconn.Config) bool) verdict {
	var marked *markedError
	if errors.As(err, &marked) {
		return verdict{permanent: marked.permanent, counts: marked.permanent, asked: !marked.permanent, after: marked.after}
	}
	var cause *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, ErrHandlerTimeout):
		return verdict{counts: true}
	case errors.As(err, &connect) && own(connect.Config):
		return verdict{}
	case errors.As(err, &cause):
		ended := lost && (cause.SeverityUnlocalized == "FATAL" || cause.SeverityUnlocalized == "PANIC")
		return verdict{counts: !pgerr.IsCondition(cause.Code) && !ended}
	// A deadline of the handler's own closes the connection that it waited on.
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return verdict{counts: true}
	}
	return verdict{counts: !lost}
}

// judge is judge, for which a failure at a time when the store does not answer speaks against no event.
func (w *shardWorker) judge(ctx context.Context, f *handlerFailure, alone bool) verdict {
	v := judge(f.err, f.lost, w.hub.isOwn)
	if v.counts && !v.permanent && alone && !w.hub.answers(ctx) {
		v.counts = false
	}
	return v
}

// isOwn reports whether a connection was to be to the store.
func (h *hub) isOwn(c *pgconn.Config) bool {
	own := &h.pool.Config().ConnConfig.Config
	if c == nil || c.Database != own.Database {
		return false
	}
	same := func(host string, port uint16) bool { return c.Host == host && c.Port == port }
	return same(own.Host, own.Port) ||
		slices.ContainsFunc(own.Fallbacks, func(f *pgconn.FallbackConfig) bool { return same(f.Host, f.Port) })
}

// answers reports whether the store can be reached.
func (h *hub) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	conn, release, err := h.acquire(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		// Others are at work with all connections: the poller has one of its own.
		seen := h.seen.Load()
		return seen != nil && time.Since(*seen) < storeTimeout
	}
	if err != nil {
		return false
	}
	defer release()
	return conn.Ping(ctx) == nil
}
