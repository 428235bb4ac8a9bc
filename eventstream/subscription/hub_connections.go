package subscription

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"
)

// errNoneSpare says that all connections are in use.
var errNoneSpare = errors.New("no connection is free")

// acquire gives a connection to a shard worker once one of the bounded number is free. Nobody holds one while waiting for another, but as long
// as the first is at work.
func (h *hub) acquire(ctx context.Context) (*pgxpool.Conn, func(), error) {
	return h.acquireOne(ctx, h.slots)
}

func (h *hub) acquireOne(ctx context.Context, slots chan struct{}) (*pgxpool.Conn, func(), error) {
	select {
	case slots <- struct{}{}:
		return h.acquireWith(ctx, slots)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// acquireSpare is acquireOne, unless it would wait for others of the bounded number.
func (h *hub) acquireSpare(ctx context.Context, slots chan struct{}) (*pgxpool.Conn, func(), error) {
	select {
	case slots <- struct{}{}:
		return h.acquireWith(ctx, slots)
	default:
		return nil, nil, errNoneSpare
	}
}

// acquireWith takes a connection that has been counted.
func (h *hub) acquireWith(ctx context.Context, slots chan struct{}) (*pgxpool.Conn, func(), error) {
	conn, err := h.pool.Acquire(ctx)
	if err != nil {
		<-slots
		return nil, nil, &unreachedError{err}
	}
	return conn, func() { conn.Release(); <-slots }, nil
}
