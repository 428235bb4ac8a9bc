package inspect

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

func TestEventShowsItsChain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	furnish(b)
	page := b.get("/event?id=" + causeID.String())
	for _, text := range []string{"cmd-77", "not an event here", "invoice.issued", "shipment.requested", "mail.queued", "shipment.packed", "order-1 @3"} {
		require.Contains(t, page, text)
	}
	require.Equal(t, 5, strings.Count(page, `class="arrow"`))
	require.Equal(t, 1, strings.Count(page, `class="box this"`))
	require.Contains(t, page, "among 10,000 positions")
	require.NotContains(t, page, "customer-1")
	alone := b.get(fmt.Sprintf("/event?position=%d", b.count(`SELECT position FROM eventstream.events WHERE stream_id = 'customer-1'`)))
	require.Contains(t, alone, "Nothing else belongs to this event")
}

// What is far away is found by its id, and with an index by its correlation.
func TestEventChainOverALongWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cause := uuid.New()
	b.append("order-1", "order.far-cause", nil, eventstream.WithEventID(cause), meta("far", nil))
	b.append("order-2", "order.far-relative", nil, meta("far", nil))
	b.exec(`SELECT setval('eventstream.events_position_seq', 100000)`)
	position := b.append("order-3", "order.effect", nil, meta("far", cause))
	page := b.get(fmt.Sprintf("/event?position=%d", position))
	require.Contains(t, page, "order.far-cause")
	require.NotContains(t, page, "order.far-relative")
	b.exec(`CREATE INDEX ON eventstream.events ((metadata ->> 'correlation_id'))`)
	page = b.get(fmt.Sprintf("/event?position=%d", position))
	require.Contains(t, page, "order.far-relative")
	require.Contains(t, page, "Searched in the whole log")
}

// Metadata are anybody's words: causes that go in a circle, or to themselves, end.
func TestEventChainOfForgedMetadata(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two, self := uuid.New(), uuid.New(), uuid.New()
	b.append("order-1", "order.circle", nil, eventstream.WithEventID(one), meta("c", two))
	b.append("order-1", "order.circle", nil, eventstream.WithEventID(two), meta("c", one))
	b.append("order-1", "order.self", nil, eventstream.WithEventID(self), meta("c", self))
	b.append("order-1", "order.odd", nil, eventstream.WithMetadata(map[string]any{"correlation_id": []any{1}, "causation_id": map[string]any{"a": 1}}))
	b.append("order-1", "order.kurrent", nil, eventstream.WithMetadata(map[string]any{"$correlationId": "c", "$causationId": one}))
	for position := range int64(5) {
		b.get(fmt.Sprintf("/event?position=%d", position+1))
	}
	require.Contains(t, b.get("/event?position=1"), "order.kurrent")
}

func TestEventThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/event", "/event?position=7", "/event?position=x", "/event?id=" + uuid.NewString(), "/event/payload?position=7", "/event/data?position=7"} {
		require.Equal(t, http.StatusNotFound, b.do(http.MethodGet, b.URL+path, nil).StatusCode, path)
	}
}

func TestTreeIsBounded(t *testing.T) {
	t.Parallel()
	whole := newTree(`{"a":[1,"x",true,null,{}],"b":12345678901234567890.10}`)
	require.False(t, whole.Cut)
	require.Equal(t, "12345678901234567890.10", whole.Root.Children[1].Text)
	require.Len(t, whole.Root.Children[0].Children, 5)
	for _, part := range []string{`{"a":[1,2`, `{"a"`, `{"a":`, `[`, `"abc`, `{"a":tru`, ``} {
		require.True(t, newTree(part).Cut, part)
	}
	long := newTree(`["` + strings.Repeat("é", 2*maxString) + `"]`)
	require.Less(t, len(long.Root.Children[0].Text), 2*maxString+10)
	require.True(t, newTree("["+strings.Repeat("1,", 2*maxNodes)+"1]").Cut)
	deep := newTree(strings.Repeat("[", 900) + strings.Repeat("]", 900))
	n, depth := deep.Root, 0
	for ; len(n.Children) > 0; n = n.Children[0] {
		depth++
	}
	require.Equal(t, maxDepth, depth)
	require.Equal(t, "deep", n.Kind)
}

func TestTextIsReadable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1,234,567", number(1234567))
	require.Equal(t, "-1,000", number(-1000))
	require.Equal(t, "999", number(999))
	require.Equal(t, "1.5 KiB", output.Bytes(1536))
	require.Equal(t, "10 B", output.Bytes(10))
	require.Equal(t, "12 ms", span(0.012))
	require.Equal(t, "1 min 5 s", span(65))
	require.Equal(t, "25 h 0 min", span(90000))
	require.Equal(t, "11 days", span(1e6))
	require.Equal(t, `a\u202eb\x00\u2028`+"\ufffd", output.Clean("a\u202eb\x00\u2028\xff"))
	require.Equal(t, "שלום €", output.Clean("שלום €"))
	require.Equal(t, "ab…", brief("abc", 2))
}
