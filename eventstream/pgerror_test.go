package eventstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/pgerr"
)

// Each SQLSTATE of ours, and what PostgreSQL itself says, by code or by the constraint's name: never by its text.
func TestMapError(t *testing.T) {
	t.Parallel()
	one, two := uuid.MustParse("00000000-0000-7000-8000-000000000001"), uuid.MustParse("00000000-0000-7000-8000-000000000002")
	for name, c := range map[string]struct {
		err  pgconn.PgError
		want error
	}{
		"VersionConflict": {
			pgconn.PgError{Code: "ES001", Detail: `{"stream_id": "s-1", "expected": 3, "current_version": 5}`},
			&VersionConflictError{StreamID: "s-1", Expected: 3, Actual: 5},
		},
		"IngestConflict": {
			pgconn.PgError{Code: "ES001", Detail: `{"stream_id": "s-1", "version": 3, "event_id": "` + one.String() +
				`", "other_event_id": "` + two.String() + `", "place": "events"}`},
			&IngestConflictError{StreamID: "s-1", Version: 3, EventID: one, OtherEventID: two, Place: "events"},
		},
		"GapOfAHole": {
			pgconn.PgError{Code: "ES002", Detail: `{"stream_id": "s-1", "first_missing": 3, "current_version": 5}`},
			&GapError{StreamID: "s-1", FirstMissing: 3, CurrentVersion: 5},
		},
		"GapOfAnInsert": {
			pgconn.PgError{Code: "ES002", Detail: `{"stream_id": "s-1", "next_version": 3, "first_version": 9, "current_version": 2}`},
			&GapError{StreamID: "s-1", FirstMissing: 3, CurrentVersion: 2},
		},
		"Tenant": {
			pgconn.PgError{Code: "ES003", Detail: `{"stream_id": "s-1", "stream_tenant": "a", "event_tenant": "b"}`},
			&TenantMismatchError{StreamID: "s-1", StreamTenant: "a", EventTenant: "b"},
		},
		"AppendOnly": {pgconn.PgError{Code: "ES004", Detail: `{"table": "eventstream.events", "operation": "DELETE"}`}, ErrAppendOnly},
		"EventID": {
			pgconn.PgError{Code: "ES005", Detail: `{"event_id": "` + one.String() +
				`", "stream_id": "s-1", "found_stream_id": "s-2", "found_version": 7, "problem": "is there already"}`},
			&EventIDConflictError{EventID: one, StreamID: "s-1", FoundStreamID: "s-2", FoundVersion: 7, Problem: "is there already"},
		},
		"EventIDNotFound": {
			pgconn.PgError{Code: "ES005", Detail: `{"event_id": "` + one.String() +
				`", "stream_id": "s-1", "found_stream_id": null, "found_version": null, "problem": "is new"}`},
			&EventIDConflictError{EventID: one, StreamID: "s-1", Problem: "is new"},
		},
		"Position": {pgconn.PgError{Code: "ES006", Detail: `{"stream_id": "s-1", "version": 2}`}, ErrPositionOrder},
		"Partition": {
			pgconn.PgError{Code: "ES007", Detail: `{"stream_id": "s-1", "stream_partition": 4, "event_partition": 5}`},
			&PartitionMismatchError{StreamID: "s-1", StreamPartition: 4, EventPartition: 5},
		},
		"NoSuchPartition": {
			pgconn.PgError{Code: "ES007", Detail: `{"partition_id": 40, "partition_count": 32}`},
			&InvalidValueError{Field: "partition_id", Value: "40", Rule: "from 0 to 31"},
		},
		"Value": {
			pgconn.PgError{Code: "ES008", Detail: `{"field": "tenant_id", "value": "a b", "bytes": 3, "rule": "1 to 64"}`},
			&InvalidValueError{Field: "tenant_id", Value: "a b", Rule: "1 to 64"},
		},
		"VersionTaken":  {pgconn.PgError{Code: "23505", ConstraintName: "events_pkey"}, ErrVersionConflict},
		"PendingTaken":  {pgconn.PgError{Code: "23505", ConstraintName: "pending_events_pkey"}, ErrVersionConflict},
		"EventIDTaken":  {pgconn.PgError{Code: "23505", ConstraintName: "events_event_id_key"}, ErrEventIDConflict},
		"EventIDWaits":  {pgconn.PgError{Code: "23505", ConstraintName: "pending_events_event_id_key"}, ErrEventIDConflict},
		"PositionTaken": {pgconn.PgError{Code: "23505", ConstraintName: "events_position_key"}, ErrStoreMismatch},
		"Store":         {pgconn.PgError{Code: "ES009", Message: "the count differs"}, ErrStoreMismatch},
		"NoTable":       {pgconn.PgError{Code: "42P01", Message: "no table"}, &NotMigratedError{Missing: "no table"}},
		"NoSchema":      {pgconn.PgError{Code: "3F000", Message: "no schema"}, &NotMigratedError{Missing: "no schema"}},
		"NoFunction":    {pgconn.PgError{Code: "42883", Message: "no function"}, &NotMigratedError{Missing: "no function"}},
		"NoColumn":      {pgconn.PgError{Code: "42703", Message: "no column"}, &NotMigratedError{Missing: "no column"}},
		"ReadOnly":      {pgconn.PgError{Code: "25006"}, ErrReadOnly},
		"NotInJSONB":    {pgconn.PgError{Code: "22P05"}, ErrInvalidValue},
		"NotJSON":       {pgconn.PgError{Code: "22P02"}, ErrInvalidValue},
		"NotUTF8":       {pgconn.PgError{Code: "22021"}, ErrInvalidValue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mapError(fmt.Errorf("wrapped: %w", &c.err))
			var mapped *pgerr.Explained
			require.ErrorAs(t, got, &mapped)
			if errors.Is(mapped.Domain, c.want) {
				require.ErrorIs(t, got, c.want)
			} else {
				require.Equal(t, c.want, mapped.Domain)
			}
			require.NotEmpty(t, got.Error())
			var cause *pgconn.PgError
			require.ErrorAs(t, got, &cause, "the database's error stays reachable")
			require.Equal(t, &c.err, cause)
		})
	}
}

// A DETAIL that cannot be read costs the numbers, not the kind.
func TestMapErrorWithoutDetail(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"ES001": ErrVersionConflict, "ES002": ErrGap, "ES003": ErrTenantMismatch, "ES004": ErrAppendOnly,
		"ES005": ErrEventIDConflict, "ES006": ErrPositionOrder, "ES007": ErrPartitionMismatch, "ES008": ErrInvalidValue,
		"ES009": ErrStoreMismatch,
	} {
		for _, detail := range []string{"", "{", "[]", `{"event_id": "x"}`, `{"stream_id": 7}`} {
			require.ErrorIs(t, mapError(&pgconn.PgError{Code: code, Detail: detail}), want, "%s %s", code, detail)
		}
	}
}

// What is no error of the database, or one without a meaning here, is returned as it is.
func TestMapErrorLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	require.NoError(t, mapError(nil))
	for _, err := range []error{
		io.EOF, pgx.ErrNoRows, context.Canceled,
		&pgconn.PgError{Code: "40001"}, &pgconn.PgError{Code: "57P01"}, &pgconn.PgError{Code: "42501"}, &pgconn.PgError{Code: "ES099"},
		&pgconn.PgError{Code: "23505", ConstraintName: "somebody_elses_key"}, &pgconn.PgError{Code: "55P03"},
	} {
		require.Equal(t, err, mapError(err))
	}
}

func TestSafeToRetry(t *testing.T) {
	t.Parallel()
	code := func(code string) error { return mapError(&pgconn.PgError{Code: code}) }
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"Nil":              {nil, false},
		"Serialization":    {code("40001"), true},
		"Deadlock":         {code("40P01"), true},
		"Terminated":       {code("57P01"), true},
		"Crash":            {code("57P02"), true},
		"StartingUp":       {code("57P03"), true},
		"TooMany":          {code("53300"), true},
		"ConnectionFails":  {code("08006"), true},
		"PositionOrder":    {code("ES006"), true},
		"VersionConflict":  {code("ES001"), false},
		"Gap":              {code("ES002"), false},
		"Tenant":           {code("ES003"), false},
		"EventID":          {code("ES005"), false},
		"Value":            {code("ES008"), false},
		"ReadOnly":         {code("25006"), false},
		"NotMigrated":      {code("42P01"), false},
		"Cancelled":        {code("57014"), false},
		"LockTimeout":      {code("55P03"), false},
		"Permission":       {code("42501"), false},
		"Unique":           {mapError(&pgconn.PgError{Code: "23505", ConstraintName: "events_pkey"}), false},
		"Refusal":          {&VersionConflictError{}, false},
		"Batch":            {&BatchError{Requests: 1, Refused: []RequestError{{Err: &GapError{}}}}, false},
		"EOF":              {fmt.Errorf("read: %w", io.EOF), true},
		"UnexpectedEOF":    {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true},
		"Closed":           {fmt.Errorf("write: %w", net.ErrClosed), true},
		"Reset":            {&net.OpError{Op: "read", Err: os.NewSyscallError("read", errors.New("connection reset"))}, true},
		"Context":          {fmt.Errorf("append: %w", context.Canceled), false},
		"Deadline":         {context.DeadlineExceeded, false},
		"ContextOverWire":  {errors.Join(io.ErrUnexpectedEOF, context.DeadlineExceeded), false},
		"NoRows":           {pgx.ErrNoRows, false},
		"TxClosed":         {pgx.ErrTxClosed, false},
		"Other":            {errors.New("something else"), false},
		"WrappedRetryable": {fmt.Errorf("my service: %w", code("40001")), true},
	} {
		require.Equal(t, c.want, SafeToRetry(c.err), name)
	}
}
