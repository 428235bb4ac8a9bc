// Package outlast lets what is done be put on record though the context in which it was done has ended: a commit that is cut off halfway is
// on record or not, and nobody knows.
package outlast

import (
	"context"
	"time"
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
