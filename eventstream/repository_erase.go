package eventstream

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/gaplesspg/gapless/db"
)

// Erasure says what Erase takes away.
type Erasure struct {
	// StreamID is the stream. Required.
	StreamID StreamID
	// From is the first version. Required: 1 is the first one of the stream.
	From int64
	// To is the last version. Default: 0, which is the last one of the stream.
	To int64
	// Reason says why. It stays on record for good, so it names no person. Required.
	Reason string
	// Tell says whether the log gets an event of ErasedType. Default: nil, which is if the filter of a subscription asks for that type, or
	// for the category $erasures.
	Tell *bool
}

// Erase takes payload, data and metadata away from events, for good: the events stay, with their versions and their places in the log, and are
// Erased. Seals stay valid, since the digests of what was taken away are kept, in eventstream.erasures, with who did it, when and why.
// Snapshots of the stream are deleted. It returns how many events it erased: 0 if all of them were erased before. A version that the stream
// does not have is an *InvalidValueError.
func (r *Repository) Erase(ctx context.Context, erasure Erasure) (int64, error) {
	if err := errorsFirst(r.forAllTenants("an erasure"), erasure.validate()); err != nil {
		return 0, err
	}
	erased, err := r.queries.Erase(ctx, r.handle, db.EraseParams{
		StreamID: string(erasure.StreamID), FromVersion: erasure.From, ToVersion: erasure.To, Reason: erasure.Reason, Tell: erasure.Tell,
	})
	if err != nil {
		return 0, fmt.Errorf("erase from stream %s: %w", quote(string(erasure.StreamID)), mapError(err))
	}
	return erased, nil
}

func (e Erasure) validate() error {
	if err := e.StreamID.Validate(); err != nil {
		return err
	}
	switch {
	case e.From < 1:
		return invalidValue("from version", strconv.FormatInt(e.From, 10), "1 or more")
	case e.To < 0 || e.To > 0 && e.To < e.From:
		return invalidValue("to version", strconv.FormatInt(e.To, 10), "0 for the last one, or from version or more")
	case strings.TrimSpace(e.Reason) == "":
		return invalidValue("reason", e.Reason, "text that says why: it stays on record")
	}
	return nil
}
