package subscription

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"

	"github.com/gaplesspg/gapless/internal/pause"
)

// longestConnect bounds a try to connect of the hub's own: a server that does not answer may be another one by the next try.
const longestConnect = 15 * time.Second

// ownConnections is how many connections a hub has besides those of the pool: the member's, the poller's, and the listener's.
func ownConnections(notify bool) int {
	if notify {
		return 3
	}
	return 2
}

// openOwn opens the hub's own connections as the pool opens its: with the same hooks and the same TLS. They are made when they are needed.
func (h *hub) openOwn() error {
	if h.own != nil {
		return nil
	}
	config := h.pool.Config()
	config.MaxConns, config.MinConns, config.MinIdleConns = int32(ownConnections(h.settings.Notify)), 0, 0
	if timeout := config.ConnConfig.ConnectTimeout; timeout <= 0 || timeout > longestConnect {
		config.ConnConfig.ConnectTimeout = longestConnect
	}
	own, err := pgxpool.NewWithConfig(context.Background(), config)
	if err == nil {
		h.own = own
	}
	return err
}

// dropOwn closes them, and waits for none: one whose network is gone takes its time, and the next ones are not to wait for its place.
func (h *hub) dropOwn() {
	if h.own == nil {
		return
	}
	earlier, dropped := h.dropped, make(chan struct{})
	go func(own *pgxpool.Pool) {
		defer close(dropped)
		own.Close()
		if earlier != nil {
			<-earlier
		}
	}(h.own)
	h.own, h.dropped = nil, dropped
}

// closeOwn closes them, and waits for those that were dropped before as well. Where the network is gone it does not wait for all of it.
func (h *hub) closeOwn() {
	h.dropOwn()
	if h.dropped == nil {
		return
	}
	timer := time.NewTimer(cleanupTimeout)
	defer timer.Stop()
	select {
	case <-h.dropped:
	case <-timer.C:
	}
}

// onceReached does what a subscription begins with, and again while the database is away.
func (s *Subscription) onceReached(ctx context.Context, do func(context.Context) error) error {
	told := newTeller(s.name, s.config.Observer)
	defer told.close()
	for wait := pause.NewBackoff(memberBackoff, longestMemberBackoff); ; {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || !isAway(err) {
			return err
		}
		told.tell(Interrupted{Subscription: s.name, Shard: -1, Err: err})
		if err := wait.Wait(ctx); err != nil {
			return err
		}
	}
}

// awayCodes are SQLSTATEs, beside those of the classes in awayClasses, of a server that does not serve now and may do so later.
var awayCodes = []string{
	"57P01", // terminated by an administrator
	"57P02", // crash shutdown
	"57P03", // starting up, or shutting down
	"57P05", // idle for too long
	"40001", // serialization failure
	"40P01", // deadlock detected
}

// awayClasses are connection exceptions, insufficient resources, and system errors.
var awayClasses = []string{"08", "53", "58"}

// isAway reports whether an error says that the database cannot be reached now, so that waiting may help. What a user's code returned never does.
func isAway(err error) bool {
	var failure *handlerFailure
	var own *HandlerError
	if errors.As(err, &failure) || errors.As(err, &own) || errors.Is(err, puddle.ErrClosedPool) {
		return false
	}
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return slices.Contains(awayClasses, refusal.Code[:min(2, len(refusal.Code))]) || slices.Contains(awayCodes, refusal.Code)
	}
	var unreached *unreachedError
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &unreached) || errors.As(err, &connecting) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// unreachedError is why no connection could be had: of the network, of the server, or of the hooks that the pool connects with.
type unreachedError struct{ err error }

func (e *unreachedError) Error() string { return e.err.Error() }
func (e *unreachedError) Unwrap() error { return e.err }
