package integration_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
)

// batchRequest is one request of a batch, to be made of a store of its own prefix.
type batchRequest struct {
	stream   string
	expected int64
	tenant   string
	// ids are the events' ids in each of the two stores; repeats says that they are those of an earlier request.
	ids [2][]string
	// tag tells the events of the request apart.
	tag int
}

// A batch whose requests stand each on their own does what the same requests do one after the other, whatever they are: the outcomes, and
// what is in the streams. Batches to one stream and to many, with refusals at any place, take different ways in the database.
func TestAppendBatchEqualsOneByOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		var requests []batchRequest
		streams := rapid.SampledFrom([][]string{{"a"}, {"a"}, {"a", "b"}, {"a", "b", "c", "d"}}).Draw(rt, "streams")
		for range rapid.IntRange(1, 3).Draw(rt, "calls") {
			batch := drawBatch(rt, streams, requests)
			requests = append(requests, batch...)
			one, other := fmt.Sprintf("one%d-", run), fmt.Sprintf("many%d-", run)
			var singly []db.AppendBatchRow
			for i := range batch {
				rows := appendRows(t, b, one, 0, batch[i:i+1])
				singly = append(singly, rows...)
			}
			together := appendRows(t, b, other, 1, batch)
			for i := range together {
				singly[i].Request = int32(i + 1)
				leaveOut(&singly[i])
				leaveOut(&together[i])
			}
			require.Equal(rt, singly, together)
			require.Equal(rt, streamContents(t, b, one), streamContents(t, b, other))
		}
	})
	requireAuditClean(t, b)
}

// leaveOut leaves out what differs between the two stores: positions, and the tenant of a stream that is not there.
func leaveOut(row *db.AppendBatchRow) {
	row.LastPosition = 0
	if row.CurrentVersion == 0 {
		row.TenantID = ""
	}
}

func drawBatch(rt *rapid.T, streams []string, before []batchRequest) []batchRequest {
	var batch []batchRequest
	for range rapid.IntRange(1, 8).Draw(rt, "requests") {
		r := batchRequest{
			stream:   rapid.SampledFrom(streams).Draw(rt, "stream"),
			expected: int64(rapid.SampledFrom([]int{-1, -1, -2, -3, 0, 1, 2, 3, 5}).Draw(rt, "expected")),
			tenant:   rapid.SampledFrom([]string{"", "", "", "acme", "default"}).Draw(rt, "tenant"),
			tag:      len(before) + len(batch),
		}
		for range rapid.IntRange(1, 3).Draw(rt, "events") {
			r.ids[0] = append(r.ids[0], uuid.NewString())
			r.ids[1] = append(r.ids[1], uuid.NewString())
		}
		if len(before) > 0 && rapid.IntRange(0, 5).Draw(rt, "repeat") == 0 {
			r = rapid.SampledFrom(before).Draw(rt, "repeated")
			if slices.ContainsFunc(batch, func(other batchRequest) bool { return other.tag == r.tag }) {
				continue
			}
		}
		batch = append(batch, r)
	}
	return batch
}

// appendRows makes requests of the streams of one of the two stores, each on its own.
func appendRows(t *testing.T, b *bundle, prefix string, store int, batch []batchRequest) []db.AppendBatchRow {
	t.Helper()
	return appendUnits(t, b, prefix, store, batch, db.AppendBatchParams{})
}

// appendUnits is the same, atomic or with the units that p says.
func appendUnits(t *testing.T, b *bundle, prefix string, store int, batch []batchRequest, p db.AppendBatchParams,
) []db.AppendBatchRow {
	t.Helper()
	for _, r := range batch {
		p.StreamIds = append(p.StreamIds, prefix+r.stream)
		p.Expected = append(p.Expected, r.expected)
		p.TenantIds = append(p.TenantIds, r.tenant)
		p.EventCounts = append(p.EventCounts, int32(len(r.ids[store])))
		for i, id := range r.ids[store] {
			p.EventIds = append(p.EventIds, id)
			p.Types = append(p.Types, "tested.appended")
			p.Payloads = append(p.Payloads, json.RawMessage(fmt.Sprintf(`{"tag":%d,"i":%d}`, r.tag, i)))
			p.OccurredAt = append(p.OccurredAt, time.Now())
		}
	}
	rows, err := db.New().AppendBatch(b.ctx, b.pool, p)
	require.NoError(t, err)
	require.Equal(t, len(batch), len(rows))
	return rows
}

// streamContents is what is in the streams of a prefix, by stream and version.
func streamContents(t *testing.T, b *bundle, prefix string) []string {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT format('%s %s %s %s', substr(stream_id, length($1) + 1), version, tenant_id, payload)
		FROM eventstream.events WHERE starts_with(stream_id, $1)
		UNION ALL SELECT format('%s is at %s', substr(stream_id, length($1) + 1), current_version) FROM eventstream.streams
		WHERE starts_with(stream_id, $1) ORDER BY 1`, prefix)
	require.NoError(t, err)
	contents, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return contents
}

// A refused request before an applied one, both to one stream, leaves the applied one its own event, version and position.
func TestAppendBatchToOneStreamAfterARefusal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2)
	batch := []batchRequest{
		{stream: "order-1", expected: 1, ids: [2][]string{{uuid.NewString()}}, tag: 0},
		{stream: "order-1", expected: 2, ids: [2][]string{{uuid.NewString(), uuid.NewString()}}, tag: 1},
		{stream: "order-1", expected: 2, ids: [2][]string{{uuid.NewString()}}, tag: 2},
		{stream: "order-1", expected: int64(-1), ids: [2][]string{{uuid.NewString()}}, tag: 3},
	}
	rows := appendRows(t, b, "", 0, batch)
	outcomes := make([]string, len(rows))
	for i, row := range rows {
		outcomes[i] = fmt.Sprint(row.Outcome, " ", row.FirstVersion, "-", row.LastVersion, " of ", row.CurrentVersion)
	}
	require.Equal(t, []string{
		"version_conflict 0-0 of 2", "appended 3-4 of 4", "version_conflict 0-0 of 4", "appended 5-5 of 5",
	}, outcomes)
	stream, err := b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	for i, want := range []struct {
		id       string
		position int64
	}{{batch[1].ids[0][0], 0}, {batch[1].ids[0][1], rows[1].LastPosition}, {batch[3].ids[0][0], rows[3].LastPosition}} {
		event := stream.EventsFrom(3)[i]
		require.Equal(t, want.id, event.ID.String())
		if want.position != 0 {
			require.Equal(t, want.position, event.Position)
		}
	}
	require.ErrorIs(t, func() error {
		_, err := b.repo.Append(b.ctx, "order-1", eventstream.Exact(4), anEvent(t, 9))
		return err
	}(), eventstream.ErrVersionConflict)
}
