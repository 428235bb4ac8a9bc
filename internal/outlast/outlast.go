// Package outlast lets what is done be put on record though the context in which it was done has ended: a commit that is cut off halfway is
// on record or not, and nobody knows.
package outlast

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/internal/isolation"
)

// grace is how long after the end of a context what outlasts it may take.
const grace = 5 * time.Second

// Context returns a context that ends five seconds after another one, or when done is called, which must be called.
func Context(ctx context.Context) (lasting context.Context, done context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		limited, done := context.WithTimeout(lasting, grace)
		defer done()
		<-limited.Done()
		cancel()
	})
	return lasting, func() { stop(); cancel() }
}

// Tx runs f in a transaction of its own. The end of the context ends f, and does not cut off the commit.
func Tx(ctx context.Context, begins isolation.Beginner, options pgx.TxOptions, f func(tx pgx.Tx) error) error {
	tx, err := begins.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing after Commit
	if err := f(tx); err != nil {
		return err
	}
	lasting, done := Context(ctx)
	defer done()
	return tx.Commit(lasting)
}
