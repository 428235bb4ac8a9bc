package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/db"
)

// modelStream is where a stream stands, in a model of append that knows nothing of SQL.
type modelStream struct {
	version int64
	tenant  string
}

// unitsModel says what becomes of units of requests. applied holds, for each request that was applied in an earlier call, its versions.
type unitsModel struct {
	streams map[string]modelStream
	applied map[int][2]int64
}

// judge is the outcome of a request where its stream stands so.
func (s modelStream) judge(r batchRequest) string {
	switch {
	case s.version > 0 && r.tenant != "" && r.tenant != s.tenant:
		return "tenant_mismatch"
	case r.expected == anyVersion || r.expected == s.version:
		return "appended"
	case r.expected == exists && s.version == 0:
		return "stream_missing"
	case r.expected == exists:
		return "appended"
	case r.expected == empty && s.version > 0:
		return "stream_exists"
	case r.expected == empty:
		return "appended"
	}
	return "version_conflict"
}

// unit applies the requests of a unit in order, or none of them. A request that is a repetition is a duplicate, and takes nobody down.
func (m *unitsModel) unit(requests []batchRequest) []string {
	before := make(map[string]modelStream, len(m.streams))
	for name, s := range m.streams {
		before[name] = s
	}
	lines, versions := make([]string, len(requests)), make([][2]int64, len(requests))
	refused := false
	for i, r := range requests {
		s := m.streams[r.stream]
		outcome := s.judge(r)
		if at, repeated := m.applied[r.tag]; repeated && outcome != "tenant_mismatch" {
			lines[i] = fmt.Sprintf("duplicate %d-%d", at[0], at[1])
			continue
		}
		lines[i] = outcome + " 0-0"
		if outcome != "appended" {
			refused = true
			continue
		}
		versions[i] = [2]int64{s.version + 1, s.version + int64(len(r.ids[0]))}
		lines[i] = fmt.Sprintf("appended %d-%d", versions[i][0], versions[i][1])
		if s.version == 0 {
			s.tenant = map[bool]string{true: "default", false: r.tenant}[r.tenant == ""]
		}
		s.version = versions[i][1]
		m.streams[r.stream] = s
	}
	for i := range requests {
		if versions[i][0] == 0 {
			continue
		}
		if refused {
			lines[i] = " 0-0"
		} else {
			m.applied[requests[i].tag] = versions[i]
		}
	}
	if refused {
		m.streams = before
	}
	return lines
}

// Requests of a batch that have the same number in p_units are applied all or none, each unit after those before it: the outcomes are those
// of a model, and those of a call with p_atomic for each unit, and the streams hold the same.
func TestAppendBatchUnitsAreAtomicEachOnItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run, refusedUnits, appliedUnits := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		one, other := fmt.Sprintf("one%d-", run), fmt.Sprintf("units%d-", run)
		model := &unitsModel{streams: map[string]modelStream{}, applied: map[int][2]int64{}}
		streams := rapid.SampledFrom([][]string{{"a"}, {"a", "b"}, {"a", "b", "c", "d"}}).Draw(rt, "streams")
		var requests []batchRequest
		for range rapid.IntRange(1, 3).Draw(rt, "calls") {
			batch := drawBatch(rt, streams, requests)
			if len(batch) == 0 {
				continue
			}
			requests = append(requests, batch...)
			units := drawUnits(rt, len(batch))
			var want []string
			var singly []db.AppendBatchRow
			for from := 0; from < len(batch); {
				to := from
				for to < len(batch) && units[to] == units[from] {
					to++
				}
				lines := model.unit(batch[from:to])
				want = append(want, lines...)
				singly = append(singly, appendUnits(t, b, one, 0, batch[from:to], db.AppendBatchParams{Atomic: true})...)
				if lines[0][0] == 'a' {
					appliedUnits++
				} else {
					refusedUnits++
				}
				from = to
			}
			together := appendUnits(t, b, other, 1, batch, db.AppendBatchParams{Units: units})
			got := make([]string, len(together))
			for i := range together {
				got[i] = fmt.Sprintf("%s %d-%d", together[i].Outcome, together[i].FirstVersion, together[i].LastVersion)
				singly[i].Request = int32(i + 1)
				leaveOut(&singly[i])
				leaveOut(&together[i])
			}
			require.Equal(rt, want, got)
			require.Equal(rt, singly, together)
			require.Equal(rt, streamContents(t, b, one), streamContents(t, b, other))
		}
	})
	require.Positive(t, refusedUnits)
	require.Positive(t, appliedUnits)
	requireAuditClean(t, b)
}

// drawUnits numbers requests in ascending order, some of them alike.
func drawUnits(rt *rapid.T, requests int) []int32 {
	units := make([]int32, requests)
	unit := int32(1)
	for i := range units {
		unit += int32(rapid.IntRange(0, 2).Draw(rt, "step"))
		units[i] = unit
	}
	return units
}

// Units that are out of order, below 1, or not one for each request are refused, whatever else the batch says.
func TestAppendBatchUnitsMustAscend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	refused := untouched(t, b)
	for _, units := range []string{`{2,1}`, `{0,1}`, `{-1,1}`, `{1}`, `{1,2,3}`, `{1,NULL}`, `{NULL,1}`, `{}`} {
		_, err := b.pool.Exec(b.ctx, `SELECT * FROM eventstream.append_batch('{a-1,b-1}', '{-1,-1}', '{1,1}', NULL, '{t,t}', NULL,
			p_atomic => false, p_units => $1::text::integer[])`, units)
		refusal := requireSQLState(t, err, "ES008")
		require.NotEmpty(t, refusal.Hint)
	}
	refused()
}
