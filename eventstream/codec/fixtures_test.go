package codec_test

import (
	"encoding"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
)

// customerRegistered has had three schema versions: the first had two names and a text for the country, the second one name, the third
// counts in cents.
type customerRegistered struct {
	Name    string `json:"name"`
	Country string `json:"country"`
	Credit  int64  `json:"credit_cents"`
}

type customerV1 struct {
	First   string `json:"first_name"`
	Last    string `json:"last_name"`
	Country string `json:"land"`
	Credit  int64  `json:"credit"`
}

type customerV2 struct {
	Name    string `json:"name"`
	Country string `json:"country"`
	Credit  int64  `json:"credit"`
}

// orderPlaced was one event with its items until schema version 2; now each item is an event.
type orderPlaced struct {
	By string `json:"by"`
}

type itemAdded struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

type orderV1 struct {
	By    string   `json:"by"`
	Items []itemV1 `json:"items"`
}

type itemV1 struct {
	Article string `json:"article"`
}

func mergeNames(old customerV1) (customerV2, error) {
	return customerV2{Name: old.First + " " + old.Last, Country: old.Country, Credit: old.Credit}, nil
}

func countCents(old customerV2) (customerRegistered, error) {
	return customerRegistered{Name: old.Name, Country: old.Country, Credit: 100 * old.Credit}, nil
}

func splitOrder(old orderV1) ([]any, error) {
	values := []any{orderPlaced{By: old.By}}
	for _, item := range old.Items {
		values = append(values, codec.Old{Type: "order.item_added", Version: 1, Value: item})
	}
	return values, nil
}

// shop is every kind of change: fields renamed and merged, a type renamed, an event split, one dropped, a type given up.
func shop(t testing.TB, options ...codec.Option) *codec.Registry {
	t.Helper()
	registry, err := codec.New(append([]codec.Option{
		codec.Event[customerRegistered]("customer.registered",
			codec.Formerly("user.created"), codec.Upcast(1, mergeNames), codec.Upcast(2, countCents)),
		codec.Event[orderPlaced]("order.placed", codec.Split(1, splitOrder), codec.Version(2)),
		codec.Event[itemAdded]("order.item_added", codec.Upcast(1, func(old itemV1) (itemAdded, error) {
			return itemAdded{SKU: old.Article, Quantity: 1}, nil
		})),
		codec.Event[pageSeen]("page.seen", codec.Drop(1), codec.Version(2)),
		codec.Ignore("page.left"),
	}, options...)...)
	require.NoError(t, err)
	return registry
}

type pageSeen struct {
	Path string `json:"path"`
}

// stored is an event as a file of testdata keeps it.
func stored(t testing.TB, name string) (e eventstream.Event) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &e))
	return e
}

// anEvent is one of a type and a schema version; 0 leaves the version out.
func anEvent(t testing.TB, name, payload string, version int) eventstream.Event {
	t.Helper()
	var options []eventstream.EventOption
	if version > 0 {
		options = append(options, eventstream.WithMetadata(map[string]int{codec.SchemaVersionKey: version}))
	}
	e, err := eventstream.NewEvent(name, json.RawMessage(payload), options...)
	require.NoError(t, err)
	return e
}

// packed is a format of bytes, for types that write themselves.
type packed struct{}

func (packed) Binary() bool { return true }
func (packed) Marshal(v any) ([]byte, error) {
	return v.(encoding.BinaryMarshaler).MarshalBinary()
}

func (packed) Unmarshal(data []byte, into any) error {
	return into.(encoding.BinaryUnmarshaler).UnmarshalBinary(data)
}

// reading writes itself, as a generated type does; its methods are on the pointer.
type reading struct{ Sensor string }

func (r *reading) MarshalBinary() ([]byte, error) { return []byte("\x01" + r.Sensor), nil }
func (r *reading) UnmarshalBinary(data []byte) error {
	r.Sensor = strings.TrimPrefix(string(data), "\x01")
	return nil
}
