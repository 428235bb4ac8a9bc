package seal

import (
	"context"
	"errors"
	"fmt"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
)

// DefaultEvents is how many events a block has at most unless told otherwise.
const DefaultEvents = 10_000

// MaxEvents is how many it may have.
const MaxEvents = 1_000_000

var (
	// ErrEvents says that a number of events for a block is out of bounds.
	ErrEvents = errors.New("events of a block out of bounds")
	// ErrNoSeal says that there is no seal yet, or none for what was asked.
	ErrNoSeal = errors.New("no seal")
)

// Next seals the next block: up to maxEvents events (0 for DefaultEvents, at most MaxEvents) that no writer can still come before. It
// reports false if all of these are sealed. While another session seals, it waits for that, and seals what comes after. The caller keeps
// the seal elsewhere once its transaction is committed.
func Next(ctx context.Context, h eventstream.Handle, maxEvents int) (Kept, bool, error) {
	if maxEvents == 0 {
		maxEvents = DefaultEvents
	}
	if maxEvents < 1 || maxEvents > MaxEvents {
		return Kept{}, false, fmt.Errorf("%w: %d, which should be 1 to %d, or 0 for %d", ErrEvents, maxEvents, MaxEvents, DefaultEvents)
	}
	texts, err := db.New().Seal(ctx, h, int32(maxEvents))
	if err != nil {
		return Kept{}, false, fmt.Errorf("seal a block: %w", err)
	}
	if len(texts) == 0 {
		return Kept{}, false, nil
	}
	kept, err := ParseKept(texts[0])
	return kept, err == nil, err
}

// Newest returns the newest seal, and ErrNoSeal if there is none.
func Newest(ctx context.Context, h eventstream.Handle) (Kept, error) {
	text, err := db.New().SealKept(ctx, h, 0)
	if err != nil {
		return Kept{}, fmt.Errorf("read the newest seal: %w", err)
	}
	if text == "" {
		return Kept{}, fmt.Errorf("%w: nothing was sealed yet", ErrNoSeal)
	}
	return ParseKept(text)
}
