package eventstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/internal/pgerr"
)

// mapError turns an error of the database into one of this package, by SQLSTATE or by the constraint's name, never by its text.
// Anything else is returned as it is.
func mapError(err error) error {
	var cause *pgconn.PgError
	if !errors.As(err, &cause) {
		return err
	}
	if domain := domainError(cause); domain != nil {
		return &pgerr.Explained{Domain: domain, Cause: cause}
	}
	return err
}

// positionKey is the constraint that a writer meets whose position an event has already: the sequence is behind the events.
const positionKey = "events_position_key"

func domainError(e *pgconn.PgError) error {
	if strings.HasPrefix(e.Code, "ES") {
		return refusedError(e)
	}
	switch e.Code {
	case "42P01", "3F000", "42883", "42703": // undefined table, schema, function, column
		return &NotMigratedError{Missing: e.Message}
	case "25006": // read-only transaction
		return ErrReadOnly
	case "22P05", "22P02", "22021", "22023": // not in jsonb, not JSON, not in the encoding
		return invalidValue("payload", e.Message, "JSON and text that PostgreSQL can store: UTF-8, without NUL")
	}
	switch e.ConstraintName {
	case "events_pkey", "pending_events_pkey":
		return fmt.Errorf("%w: another writer took the version first (%s)", ErrVersionConflict, e.Detail)
	case "events_event_id_key", "pending_events_event_id_key":
		return &EventIDConflictError{Problem: "is there already: " + e.Detail}
	case positionKey:
		return fmt.Errorf("%w: the sequence of positions gave one that an event has (%s); SELECT * FROM eventstream.audit_order says how far it is behind",
			ErrStoreMismatch, e.Detail)
	}
	return nil
}

// refusalDetail is what the DETAIL of an ES error holds: one JSON object, with those of these fields that matter to it.
type refusalDetail struct {
	StreamID        string    `json:"stream_id"`
	Version         int64     `json:"version"`
	Expected        int64     `json:"expected"`
	Outcome         string    `json:"outcome"`
	CurrentVersion  int64     `json:"current_version"`
	NextVersion     int64     `json:"next_version"`
	FirstMissing    int64     `json:"first_missing"`
	StreamTenant    string    `json:"stream_tenant"`
	EventTenant     string    `json:"event_tenant"`
	StreamPartition int       `json:"stream_partition"`
	EventPartition  int       `json:"event_partition"`
	PartitionID     int       `json:"partition_id"`
	PartitionCount  int       `json:"partition_count"`
	EventID         uuid.UUID `json:"event_id"`
	OtherEventID    uuid.UUID `json:"other_event_id"`
	Place           string    `json:"place"`
	FoundStreamID   string    `json:"found_stream_id"`
	FoundVersion    int64     `json:"found_version"`
	Problem         string    `json:"problem"`
	Field           string    `json:"field"`
	Value           string    `json:"value"`
	Rule            string    `json:"rule"`
	Position        int64     `json:"position"`
	Last            int64     `json:"last"`
}

// refusedError gives the error for a SQLSTATE of class ES. A DETAIL that cannot be read costs the numbers, not the kind.
func refusedError(e *pgconn.PgError) error {
	var d refusalDetail
	_ = json.Unmarshal([]byte(e.Detail), &d)
	id := StreamID(d.StreamID)
	switch e.Code {
	case "ES001":
		if d.Place != "" {
			return &IngestConflictError{
				StreamID: id, Version: d.Version, EventID: d.EventID, OtherEventID: d.OtherEventID, Place: d.Place,
			}
		}
		return conflictOf(id, d)
	case "ES002":
		return &GapError{StreamID: id, FirstMissing: max(d.FirstMissing, d.NextVersion), CurrentVersion: d.CurrentVersion}
	case "ES003":
		return &TenantMismatchError{
			StreamID: id, StreamTenant: TenantID(d.StreamTenant), EventTenant: TenantID(d.EventTenant),
		}
	case "ES004":
		return ErrAppendOnly
	case "ES005":
		return &EventIDConflictError{
			EventID: d.EventID, StreamID: id, FoundStreamID: StreamID(d.FoundStreamID), FoundVersion: d.FoundVersion,
			Problem: d.Problem,
		}
	case "ES006":
		return ErrPositionOrder
	}
	return refusedValue(e, d)
}

// conflictOf is the error for what was expected of a stream that is otherwise.
func conflictOf(id StreamID, d refusalDetail) error {
	switch d.Outcome {
	case "stream_exists":
		return &StreamExistsError{StreamID: id, Actual: d.CurrentVersion}
	case "stream_missing":
		return &StreamMissingError{StreamID: id}
	}
	return &VersionConflictError{StreamID: id, Expected: d.Expected, Actual: d.CurrentVersion}
}

// refusedValue is refusedError for what is about values and the store rather than about a stream's history.
func refusedValue(e *pgconn.PgError, d refusalDetail) error {
	switch e.Code {
	case "ES007":
		if d.PartitionCount > 0 {
			return invalidValue("partition_id", strconv.Itoa(d.PartitionID), fmt.Sprintf("from 0 to %d", d.PartitionCount-1))
		}
		return &PartitionMismatchError{
			StreamID: StreamID(d.StreamID), StreamPartition: d.StreamPartition, EventPartition: d.EventPartition,
		}
	case "ES008":
		return invalidValue(d.Field, d.Value, d.Rule)
	case "ES009":
		return fmt.Errorf("%w: %s. %s", ErrStoreMismatch, e.Message, e.Hint)
	case "ES018":
		return &StreamNotFoundError{StreamID: StreamID(d.StreamID)}
	case "ES017":
		return &StreamClosedError{StreamID: StreamID(d.StreamID), Version: d.CurrentVersion}
	case "ES013":
		return &BeyondLogError{Field: d.Field, Value: d.Position, Last: d.Last}
	}
	return nil
}

// SafeToRetry reports whether a call that failed with err may be tried again as it was, with the same events, and whether that
// may help: the connection was lost or could not be had, the server ended it, or a concurrent transaction was in the way. The
// call may have gone through all the same; its event ids tell, and the second try is then a Duplicate.
//
// It is false for refusals, for bad input, and once the context has ended. In a transaction, all of it must be tried again.
func SafeToRetry(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var cause *pgconn.PgError
	if errors.As(err, &cause) {
		return pgerr.MayRetry(cause.Code)
	}
	var network net.Error
	return pgconn.SafeToRetry(err) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
