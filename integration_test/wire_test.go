package integration_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// wire stands between a client and the server: it counts round trips, and can lose an answer.
type wire struct {
	// trips counts how often the client began to send: at first, and after an answer. Not how often it turned to waiting: on a busy machine
	// pgx reads in the background while it still sends.
	trips atomic.Int64
	// lose makes the next answer get lost, once the server has sent all of it: what it did is committed by then.
	lose atomic.Bool
	lost atomic.Int64
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &wireConn{Conn: conn, wire: w}, nil
}

// pool is a pool whose connections all go through the wire.
func (w *wire) pool(t *testing.T, b *bundle) *pgxpool.Pool {
	t.Helper()
	config := b.pool.Config()
	config.ConnConfig.DialFunc = w.dial
	// On a busy machine, a connection may be idle for so long that the pool asks whether it lives: that would be the answer to lose.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

type wireConn struct {
	net.Conn
	wire *wire
	// asked says that something was sent, and no answer to it has come yet.
	asked atomic.Bool
}

func (c *wireConn) Write(p []byte) (int, error) {
	if !c.asked.Swap(true) {
		c.wire.trips.Add(1)
	}
	return c.Conn.Write(p)
}

// The server ends each answer with ReadyForQuery: 'Z', its length, and the state of the transaction.
var readyForQuery = []byte{'Z', 0, 0, 0, 5}

// Read looks at lose once something has come: pgx reads in the background, and on a busy machine such a reading may have begun long before
// the answer that is to get lost.
func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.asked.Store(false)
	}
	if n == 0 || err != nil || !c.wire.lose.Load() {
		return n, err
	}
	answer := bytes.Clone(p[:n])
	for len(answer) < 6 || !bytes.Equal(answer[len(answer)-6:len(answer)-1], readyForQuery) {
		part := make([]byte, 8192)
		n, err := c.Conn.Read(part)
		answer = append(answer, part[:n]...)
		if err != nil {
			return 0, err
		}
	}
	c.wire.lose.Store(false)
	c.wire.lost.Add(1)
	_ = c.Close()
	return 0, io.ErrUnexpectedEOF
}
