// Package foreign reads the histories of other stores: as events, in the order of their log, one at a time. What each store calls a thing, and
// what becomes of it here, is in docs/importing.md.
package foreign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Source is a history that can be read from its start, more than once unless it is a pipe.
type Source interface {
	// Events goes through the events. A *Refused says that one of them is no event here, and the next one follows; any other error is the last.
	Events(ctx context.Context) iter.Seq2[eventstream.Event, error]
	// LeftOut counts what the last Events passed over because it is none of the history, by reason.
	LeftOut() map[string]int64
}

// Reason is why an event cannot be imported.
type Reason string

// The reasons, in the words of the dry run.
const (
	BadStream   Reason = "stream name"
	BadType     Reason = "type name"
	BadTenant   Reason = "tenant name"
	BadVersion  Reason = "version"
	BadID       Reason = "event id"
	BadTime     Reason = "time"
	BadPayload  Reason = "payload"
	BadMetadata Reason = "metadata"
	BadLine     Reason = "line"
	Hole        Reason = "hole"
	Disorder    Reason = "order"
	OtherTenant Reason = "tenant of the stream"
	IDTwice     Reason = "event id twice"
	Conflict    Reason = "other event in the store"
)

// Refused is an event that cannot be imported.
type Refused struct {
	Reason Reason
	// Where names the event: by stream and version, or by its line.
	Where string
	// Err is what is wrong, and what to do.
	Err error
}

// Error names the event and what is wrong.
func (r *Refused) Error() string { return r.Where + ": " + r.Err.Error() }

// Unwrap gives what is wrong.
func (r *Refused) Unwrap() error { return r.Err }

func refusef(reason Reason, where, format string, args ...any) *Refused {
	return &Refused{reason, where, fmt.Errorf(format, args...)}
}

// whereIs names an event by its place, whatever characters the name has.
func whereIs(stream string, version int64) string {
	return fmt.Sprintf("stream %s, version %d", strconv.QuoteToGraphic(shorten(stream)), version)
}

// numbered names an event by the number that the source has for it.
func numbered(stream string, number int64) string {
	return fmt.Sprintf("stream %s, number %d in the source", strconv.QuoteToGraphic(shorten(stream)), number)
}

const maxShown = 160

func shorten(text string) string {
	if len(text) > maxShown {
		return text[:maxShown] + "..."
	}
	return text
}

// Judge says whether the values of an event can be stored: the rules of the package eventstream, one by one, so that the reason can be counted.
func Judge(e *eventstream.Event) *Refused {
	where := whereIs(string(e.StreamID), e.Version)
	for _, check := range [...]struct {
		reason Reason
		err    error
	}{
		{BadStream, e.StreamID.Validate()},
		{BadType, e.Type.Validate()},
		{BadTenant, tenant(e.TenantID)},
		{BadVersion, number(e.Version)},
	} {
		if check.err != nil {
			return &Refused{check.reason, where, check.err}
		}
	}
	if err := e.Validate(); err != nil {
		return &Refused{reasonOf(err), where, err}
	}
	return nil
}

func tenant(id eventstream.TenantID) error {
	if id == "" {
		return nil
	}
	return id.Validate()
}

func number(version int64) error {
	if version < 0 {
		return errors.New("a version below the first one: are the source's numbers from 0? Say so with --first-version 0")
	}
	return nil
}

// reasonOf says which field a value was refused for.
func reasonOf(err error) Reason {
	invalid, ok := errors.AsType[*eventstream.InvalidValueError](err)
	if !ok {
		return BadPayload
	}
	switch invalid.Field {
	case "event_id", "id":
		return BadID
	case "occurred_at":
		return BadTime
	case "metadata", "tags":
		return BadMetadata
	}
	return BadPayload
}

// idOf is the id of an event whose store has no UUID for it. It depends on the names alone, so that an import which comes again finds the event.
func idOf(parts ...string) uuid.UUID {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	id := uuid.UUID(hash.Sum(nil)[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: of whoever made it
	return id
}

// addMetadata adds a field to metadata, unless it is there.
func addMetadata(metadata json.RawMessage, name string, value any) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(metadata)) > 0 {
		if err := json.Unmarshal(metadata, &fields); err != nil {
			return nil, errors.New("metadata is no JSON object")
		}
	}
	if _, there := fields[name]; there {
		return metadata, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if fields == nil { // null
		fields = map[string]json.RawMessage{}
	}
	fields[name] = text
	return json.Marshal(fields)
}
