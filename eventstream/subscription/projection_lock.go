package subscription

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/shown"
)

// errRebuildLockLost ends a rebuild: by now, somebody else may have begun one.
var errRebuildLockLost = errors.New("the connection that holds the lock of the rebuild was lost")

// lockRebuild makes this process the one that rebuilds the projection, until release is called. The context that it returns ends with the
// lock. It holds a transaction with the lock of an advisory key and nothing else, as a member does, on a connection that the pool does not
// count: the feed needs those.
func (p *Projector) lockRebuild(ctx context.Context) (locked context.Context, release func(), err error) {
	pooled, err := p.hub.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn := pooled.Hijack()
	defer func() {
		if err != nil {
			closeConn(conn)
		}
	}()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginMember})
	if err != nil {
		return nil, nil, err
	}
	mine, err := db.New().ProjectionRebuildLock(ctx, tx, p.name)
	if err != nil {
		return nil, nil, explain(p.core, err)
	}
	if !mine {
		return nil, nil, fmt.Errorf("projection %s: %w", shown.Quote(p.name), ErrRebuildRunning)
	}
	// No portal of it may stay open, as in membership.
	if _, err := tx.Exec(ctx, "SELECT 1", pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, nil, err
	}
	locked, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// Nothing is notified within a transaction: this returns when the connection is lost, or the context ends.
		_, err := conn.WaitForNotification(locked)
		cancel(fmt.Errorf("%w: %w", errRebuildLockLost, err))
	}()
	return locked, func() {
		cancel(nil)
		<-watched
		rollback(tx) // and not by the end of the connection, which the server may notice later
		closeConn(conn)
	}, nil
}
