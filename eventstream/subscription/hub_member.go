package subscription

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/pause"
)

const (
	// cleanupTimeout bounds what is done after a context has ended: rollbacks, giving shards back.
	cleanupTimeout = 5 * time.Second
	// memberBackoff is the pause before a process that lost its membership joins again, and longestMemberBackoff what it grows to while
	// the database is away.
	memberBackoff, longestMemberBackoff = 200 * time.Millisecond, 5 * time.Second
	// beginMember opens the transaction that holds the member's lock. It has no snapshot and no transaction id, so that it is in
	// nobody's way; it must not be ended for being idle, nor, from PostgreSQL 17 on, for being old.
	beginMember = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 0; " +
		"SELECT set_config('transaction_timeout', '0', true) WHERE current_setting('transaction_timeout', true) IS NOT NULL"
)

// serve keeps the process a member, under a new id each time its connection was lost: by then others may own its shards.
// It begins once an earlier one has ended.
func (h *hub) serve(ctx context.Context, previous <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	if previous != nil {
		<-previous
	}
	defer h.closeOwn()
	again := pause.NewBackoff(memberBackoff, longestMemberBackoff)
	for {
		began := time.Now()
		err := h.openOwn()
		if err == nil {
			err = h.membership(ctx)
		}
		h.cancelWorkers()
		if ctx.Err() != nil {
			return
		}
		h.dropOwn() // what is still connected may be to a server that is none of ours any more
		h.report(err)
		if again.WaitSince(ctx, began) != nil {
			return
		}
	}
}

// membership lasts as long as the transaction that holds the member's lock: its connection is what others see die.
func (h *hub) membership(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	member := 1 + rand.Int64N(1<<48-1)
	conn, err := h.own.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginMember})
	if err != nil {
		return err
	}
	defer rollback(tx)
	if err := db.New().MemberLock(ctx, tx, member); err != nil {
		return err
	}
	// The portal of a statement stays open until the next, and keeps its snapshot: nothing dead in the database could be removed while
	// the process runs. A statement of the simple protocol takes its place, and leaves none.
	if _, err := tx.Exec(ctx, "SELECT 1", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		// Nothing is notified within a transaction: this returns when the connection is lost, or ctx ends.
		_, err := conn.Conn().WaitForNotification(ctx)
		cancel(err)
	}()
	if h.settings.Notify {
		listening := make(chan struct{})
		go func() { defer close(listening); h.listen(ctx) }()
		defer func() { cancel(nil); <-listening }()
	}
	cancel(h.poll(ctx, member))
	<-lost
	return context.Cause(ctx)
}

// listen wakes the poller when another process's poller saw the log move.
func (h *hub) listen(ctx context.Context) {
	for again := pause.NewBackoff(memberBackoff, longestMemberBackoff); ctx.Err() == nil; {
		began := time.Now()
		err := h.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		h.report(err)
		_ = again.WaitSince(ctx, began)
	}
}

// listenOnce listens as long as a connection lasts.
func (h *hub) listenOnce(ctx context.Context) error {
	conn, err := h.own.Acquire(ctx)
	if err != nil {
		return err
	}
	// What a session listens to must not go back into a pool.
	session := conn.Hijack()
	defer closeConn(session)
	if _, err := session.Exec(ctx, "LISTEN eventstream_log"); err != nil {
		return err
	}
	for {
		if _, err := session.WaitForNotification(ctx); err != nil {
			return err
		}
		h.wake()
	}
}

// rollback ends a transaction whose context may have ended.
func rollback(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	_ = tx.Rollback(ctx)
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}
