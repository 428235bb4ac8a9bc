package eventstream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/groupcommit"
)

// itemOf is the item of an append of one event to each of the streams.
func itemOf(t *testing.T, options []EventOption, streams ...StreamID) *appendItem {
	t.Helper()
	requests := make([]AppendRequest, len(streams))
	for i, id := range streams {
		event, err := NewEvent("a.b", map[string]int{"n": i}, options...)
		require.NoError(t, err)
		requests[i] = AppendRequest{StreamID: id, Expected: Any, Events: []Event{event}}
	}
	item, err := newAppendItem(requests, nil)
	require.NoError(t, err)
	return item
}

func TestGroupGivesEachItemItsRows(t *testing.T) {
	t.Parallel()
	items := []*appendItem{itemOf(t, nil, "a"), itemOf(t, nil, "b", "c"), itemOf(t, nil, "d")}
	verdict, err := settleItems(items, 0, func() ([]db.AppendBatchRow, error) {
		u := layOut(items)
		rows := make([]db.AppendBatchRow, len(u.StreamIds))
		for i, id := range u.StreamIds {
			rows[i].TenantID = id
		}
		return rows, nil
	})
	require.NoError(t, err)
	require.Equal(t, groupcommit.Settled, verdict)
	for _, item := range items {
		require.Len(t, item.rows, len(item.Keys()))
		for i, key := range item.Keys() {
			require.Equal(t, key, item.rows[i].TenantID)
		}
	}
}

// The database gets streams in order, which costs it less, and the caller its results in the order of the call.
func TestGroupSendsStreamsInOrder(t *testing.T) {
	t.Parallel()
	items := []*appendItem{itemOf(t, nil, "c"), itemOf(t, nil, "a"), itemOf(t, nil, "b"), itemOf(t, nil, "a")}
	sorted := inOrderOfStreams(items)
	require.Equal(t, []string{"a", "a", "b", "c"}, layOut(sorted).StreamIds)
	require.Same(t, items[1], sorted[0], "first come, first served, of one stream")
	require.Equal(t, []string{"c", "a", "b", "a"}, layOut(items).StreamIds, "what the group has stays as it is")

	many := itemOf(t, nil, "c", "a", "b", "a")
	require.Equal(t, StreamID("c"), many.stream)
	u := layOut(inOrderOfStreams([]*appendItem{items[0], many}))
	require.Equal(t, []string{"c", "a", "a", "b", "c"}, u.StreamIds, "units stay together")
	rows := make([]db.AppendBatchRow, 4)
	for i := range rows {
		rows[i] = db.AppendBatchRow{TenantID: u.StreamIds[i+1], LastVersion: int64(i)}
	}
	rows = many.asCalled(rows)
	require.Equal(t, []string{"c", "a", "b", "a"}, []string{rows[0].TenantID, rows[1].TenantID, rows[2].TenantID, rows[3].TenantID})
	require.Less(t, rows[1].LastVersion, rows[3].LastVersion)
}

func TestGroupKnowsWhatAnErrorConcerns(t *testing.T) {
	t.Parallel()
	locked := &pgconn.PgError{Severity: "ERROR", Code: lockNotAvailable}
	for name, c := range map[string]struct {
		err        error
		wait, took time.Duration
		want       groupcommit.Verdict
	}{
		"LockTimeout":       {locked, 20 * time.Millisecond, 20 * time.Millisecond, groupcommit.Blocked},
		"ClocksDiffer":      {locked, 20 * time.Millisecond, 19 * time.Millisecond, groupcommit.Blocked},
		"ATriggersNowait":   {locked, 20 * time.Millisecond, time.Millisecond, groupcommit.Suspect},
		"AnotherTimeout":    {locked, 0, time.Second, groupcommit.Suspect},
		"EventIDs":          {&pgconn.PgError{Severity: "ERROR", Code: "ES005"}, 0, 0, groupcommit.Suspect},
		"OtherLanguage":     {&pgconn.PgError{Severity: "FEHLER", SeverityUnlocalized: "ERROR", Code: "23514"}, 0, 0, groupcommit.Suspect},
		"RightsOfARow":      {&pgconn.PgError{Severity: "ERROR", Code: insufficientPrivilege}, 0, 0, groupcommit.Suspect},
		"NotInstalled":      {&pgconn.PgError{Severity: "ERROR", Code: "42P01"}, 0, 0, groupcommit.Failed},
		"ReadOnly":          {&pgconn.PgError{Severity: "ERROR", Code: "25006"}, 0, 0, groupcommit.Failed},
		"Killed":            {&pgconn.PgError{Severity: "FATAL", Code: "57P01"}, 0, 0, groupcommit.Failed},
		"ConflictOnStandby": {&pgconn.PgError{Severity: "FATAL", Code: "40001"}, 0, 0, groupcommit.Failed},
		"NoAnswer":          {io.ErrUnexpectedEOF, 0, 0, groupcommit.Failed},
		"Canceled":          {context.Canceled, 0, 0, groupcommit.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				send := func() ([]db.AppendBatchRow, error) {
					time.Sleep(c.took) // of the bubble's clock
					return nil, c.err
				}
				verdict, err := settleItems([]*appendItem{itemOf(t, nil, "a")}, c.wait, send)
				require.Equal(t, c.want, verdict)
				require.ErrorIs(t, err, c.err)
			})
		})
	}
}

func TestGroupLaysOutUnits(t *testing.T) {
	t.Parallel()
	plain, many := itemOf(t, nil, "a"), itemOf(t, []EventOption{WithTenant("t"), WithMetadata(map[string]int{"m": 1})}, "b", "c")
	u := layOut([]*appendItem{plain, many, plain})
	require.Equal(t, []int32{1, 2, 2, 3}, u.Units)
	require.Equal(t, []string{"a", "b", "c", "a"}, u.StreamIds)
	require.Equal(t, []int32{1, 1, 1, 1}, u.EventCounts)
	require.Equal(t, []string{"", "t", "t", ""}, u.TenantIds)
	require.Nil(t, u.PartitionIds)
	require.Nil(t, u.Data)
	require.Equal(t, []json.RawMessage{[]byte(`{}`), []byte(`{"m":1}`), []byte(`{"m":1}`), []byte(`{}`)}, u.Metadata)
	require.False(t, u.Atomic)

	u = layOut([]*appendItem{plain, plain})
	require.Nil(t, u.Units, "each request is a unit of its own")
	require.Nil(t, u.TenantIds)

	u = layOut([]*appendItem{many})
	require.Nil(t, u.Units, "one unit, all or none")
	require.True(t, u.Atomic)
}

// What a caller does with its payload after it left does not reach the database.
func TestGroupOwnsWhatItSends(t *testing.T) {
	t.Parallel()
	event, err := NewEvent("a.b", nil)
	require.NoError(t, err)
	payload, data, metadata := []byte(`{"n":1}`), []byte("data"), []byte(`{"m":1}`)
	event.Payload, event.Data, event.Metadata = payload, data, metadata
	item, err := newAppendItem([]AppendRequest{{StreamID: "b", Expected: Any, Events: []Event{event}}}, nil)
	require.NoError(t, err)
	require.Equal(t, groupcommit.Size{Count: 1, Bytes: 18}, item.Size())
	item.Detach()
	payload[5], data[0], metadata[5] = '2', 'D', '2'
	u := layOut([]*appendItem{itemOf(t, nil, "a"), item})
	require.JSONEq(t, `{"n":1}`, string(u.Payloads[1]))
	require.Equal(t, [][]byte{nil, []byte("data")}, u.Data, "events without data beside one with")
	require.JSONEq(t, `{"m":1}`, string(u.Metadata[1]))
}

func TestAppendCanceledErrorSaysWhetherItWasSent(t *testing.T) {
	t.Parallel()
	err := &AppendCanceledError{StreamID: "order-1", Err: context.DeadlineExceeded}
	require.EqualError(t, err, `append to stream "order-1": context deadline exceeded before it was sent; nothing was written`)
	err.Sent = true
	require.EqualError(t, err,
		`append to stream "order-1": context deadline exceeded; it may have been applied: append the same events again to know`)
	require.True(t, errors.Is(err, context.DeadlineExceeded))
	require.Same(t, err, appendFailed(canceledContext(t), AppendRequest{}, err), "not twice")
}

func canceledContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	cancel()
	return ctx
}
