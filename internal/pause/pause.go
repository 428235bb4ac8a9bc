// Package pause waits between two tries, as long as a context lasts.
package pause

import (
	"context"
	"time"
)

// For waits, or returns the context's error.
func For(ctx context.Context, d time.Duration) error { return forOr(ctx, d, nil) }

func forOr(ctx context.Context, d time.Duration, soon <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-soon:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Backoff is a pause that doubles from one try to the next, up to a bound.
type Backoff struct{ first, next, longest time.Duration }

// NewBackoff returns a pause that begins with first and grows to longest.
func NewBackoff(first, longest time.Duration) *Backoff { return &Backoff{first, first, longest} }

// Next returns the pause before the next try, and doubles the one after it.
func (b *Backoff) Next() time.Duration {
	pause := b.next
	b.next = min(2*pause, b.longest)
	return pause
}

// Reset begins anew.
func (b *Backoff) Reset() { b.next = b.first }

// Wait waits for the pause, or returns the context's error.
func (b *Backoff) Wait(ctx context.Context) error { return For(ctx, b.Next()) }

// WaitOr waits for the pause, or until soon is closed, or returns the context's error.
func (b *Backoff) WaitOr(ctx context.Context, soon <-chan struct{}) error {
	return forOr(ctx, b.Next(), soon)
}

// NextSince is Next, which begins anew after a try that lasted for longer than the longest pause: it had got somewhere.
func (b *Backoff) NextSince(began time.Time) time.Duration {
	if time.Since(began) > b.longest {
		b.Reset()
	}
	return b.Next()
}

// WaitSince waits for NextSince, or returns the context's error.
func (b *Backoff) WaitSince(ctx context.Context, began time.Time) error {
	return For(ctx, b.NextSince(began))
}
