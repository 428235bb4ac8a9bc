package inspect

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

var rowPosition = regexp.MustCompile(`class="row-link" href="/event\?position=(\d+)"`)

// positionsOf gives which events a page or a row shows.
func positionsOf(page string) (positions []int64) {
	for _, found := range rowPosition.FindAllStringSubmatch(page, -1) {
		n, _ := strconv.ParseInt(found[1], 10, 64)
		positions = append(positions, n)
	}
	return positions
}

// expected asks the database for what a page shall show.
func (b *bundle) expected(where string) (positions []int64) {
	b.t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT position FROM eventstream.events WHERE `+where+` ORDER BY position DESC`)
	require.NoError(b.t, err)
	defer rows.Close()
	for rows.Next() {
		var n int64
		require.NoError(b.t, rows.Scan(&n))
		positions = append(positions, n)
	}
	require.NoError(b.t, rows.Err())
	return positions
}

func TestLogFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	for filter, where := range map[string]string{
		"type=order.paid": `type = 'order.paid'`, "category=customer": `stream_id LIKE 'customer-%'`, "tenant=acme": `tenant_id = 'acme'`,
		"stream=order-1": `stream_id = 'order-1'`, "partition=12": `partition_id = 12`, "type=order.paid&partition=12": `type = 'order.paid' AND partition_id = 12`,
		"type=nothing": `false`, "category=order&tenant=acme": `stream_id LIKE 'order-%' AND tenant_id = 'acme'`,
	} {
		require.Equal(t, b.expected(where), positionsOf(b.get("/log?"+filter)), filter)
	}
	require.Contains(t, b.get("/log?type=nothing"), "No such event")
	require.Contains(t, setup(t).get("/log"), "The log is empty")
}

func TestLogPagesHoldEachEventOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	require.Equal(t, b.expected(`true`), b.pagesFrom("/log"))
	require.Equal(t, b.expected(`stream_id LIKE 'order-%'`), b.pagesFrom("/log?category=order"))
	require.Greater(t, len(b.expected(`stream_id LIKE 'order-%'`)), logPage)
}

// pagesFrom gives the events of a page and of those after it.
func (b *bundle) pagesFrom(path string) (got []int64) {
	b.t.Helper()
	older := regexp.MustCompile(`href="(/log\?[^"]*before=\d+)">Older`)
	for {
		page := b.get(path)
		got = append(got, positionsOf(page)...)
		found := older.FindStringSubmatch(page)
		if found == nil {
			return got
		}
		path = strings.ReplaceAll(found[1], "&amp;", "&")
	}
}

// A filter that selects little of a large log is looked for as far back as time allows, and then by the next page.
func TestLogSearchesFurtherBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("rare-1", "rare.event", nil)
	b.exec(`SELECT setval('eventstream.events_position_seq', 3000000)`)
	b.append("order-1", "order.placed", nil)
	path := "/log?type=rare.event"
	further := regexp.MustCompile(`href="(/log\?[^"]*before=\d+)">Search further back`)
	for range 100 {
		page := b.get(path)
		require.NotContains(t, page, "order-1<", "the next page has the same filter")
		if positions := positionsOf(page); len(positions) > 0 {
			require.Equal(t, []int64{1}, positions)
			return
		}
		found := further.FindStringSubmatch(page)
		require.NotNil(t, found, page)
		path = strings.ReplaceAll(found[1], "&amp;", "&")
	}
	require.Fail(t, "it was never found")
}

// sent is what a page that follows is told.
type sent struct{ kind, id, data string }

// followed gives the rows that a page is sent, so many of them; do is called once the page follows.
func (b *bundle) followed(path string, n int, do ...func()) (rows []sent) {
	b.t.Helper()
	return b.followedFrom(path, "", n, do...)
}

func (b *bundle) followedFrom(path, lastID string, n int, do ...func()) (rows []sent) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.URL+path, nil)
	require.NoError(b.t, err)
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := b.client.Do(request)
	require.NoError(b.t, err)
	defer response.Body.Close()
	require.Equal(b.t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	var e sent
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data += value
		default: // the end of one
			for _, f := range do {
				f()
			}
			do = nil
			if e.kind == "row" {
				rows = append(rows, e)
			}
			require.NotEqual(b.t, "problem", e.kind, e.data)
			if len(rows) == n {
				return rows
			}
			e = sent{}
		}
	}
	require.NoError(b.t, lines.Err())
	return rows
}

func rowsPositions(rows []sent) (positions []int64) {
	for _, row := range rows {
		positions = append(positions, positionsOf(row.data)...)
	}
	return positions
}

func TestLogFollowsWhatIsAppended(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.append("order-1", "order.placed", map[string]any{"n": 1})
	var want []int64
	rows := b.followed(fmt.Sprintf("/log/follow?after=%d&type=order.paid", first), 3, func() {
		for range 3 {
			want = append(want, b.append("order-1", "order.paid", nil))
			b.append("order-1", "order.noted", nil)
		}
	})
	require.Equal(t, want, rowsPositions(rows))
	require.Equal(t, strconv.FormatInt(want[0], 10), rows[0].id)

	// A page whose connection broke goes on behind the last row that it had.
	again := b.followedFrom("/log/follow?after=0&type=order.paid", rows[0].id, 2)
	require.Equal(t, want[1:], rowsPositions(again))
}

// A page that follows never passes an event that is not committed yet.
func TestLogFollowingWaitsForAWriter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer tx.Rollback(b.ctx)
	_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Any, eventstream.EventOf("order.placed", nil))
	require.NoError(t, err)
	b.append("order-2", "order.placed", nil)
	require.Empty(t, positionsOf(b.get("/log")))
	rows := b.followed("/log/follow?after=0", 2, func() { require.NoError(t, tx.Commit(b.ctx)) })
	require.Equal(t, []int64{1, 2}, rowsPositions(rows))
}

func TestLogFollowingSendsNoMoreThanAPageShows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("order-1", "order.placed", nil)
	b.exec(`SELECT setval('eventstream.events_position_seq', $1)`, 2*maxBehind)
	last := b.append("order-1", "order.paid", nil)
	rows := b.followed("/log/follow?after=0", 1)
	require.Equal(t, []int64{last}, rowsPositions(rows))
	require.Equal(t, http.StatusBadRequest, b.do(http.MethodGet, b.URL+"/log/follow", nil).StatusCode)
}

func TestLogFollowersAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range maxFollowers {
		request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.URL+"/subscriptions/follow", nil)
		require.NoError(t, err)
		response, err := b.client.Do(request)
		require.NoError(t, err)
		t.Cleanup(func() { response.Body.Close() })
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	require.Equal(t, http.StatusServiceUnavailable, b.do(http.MethodGet, b.URL+"/log/follow?after=0", nil).StatusCode)
}

func TestLogFilterIsReadBack(t *testing.T) {
	t.Parallel()
	s := &Server{}
	values := url.Values{"type": {" a&b "}, "stream": {"x y"}, "partition": {"7"}, "other": {"x"}}
	f := s.filterOf(values)
	require.Equal(t, logFilter{Type: "a&b", Stream: "x y", Partition: 7}, f)
	again, err := url.ParseQuery(string(f.Query()))
	require.NoError(t, err)
	require.Equal(t, f, s.filterOf(again))
	require.Equal(t, -1, s.filterOf(url.Values{"partition": {"-3"}}).Partition)
	s.Tenant = "acme"
	require.Equal(t, "acme", s.filterOf(url.Values{"tenant": {"default"}}).Tenant)
}
