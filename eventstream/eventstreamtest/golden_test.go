package eventstreamtest_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

var update = flag.Bool("update", false, "write golden files")

type (
	paid   struct{ Cents int64 }
	paidV1 struct{ Euros int64 }
)

func payments(t testing.TB, factor int64, options ...codec.TypeOption) *codec.Registry {
	t.Helper()
	r, err := codec.New(codec.Event[paid]("order.paid", append([]codec.TypeOption{
		codec.Formerly("invoice/paid"),
		codec.Upcast(1, func(old paidV1) (paid, error) { return paid{Cents: factor * old.Euros}, nil }),
	}, options...)...), codec.Ignore("order.seen"))
	require.NoError(t, err)
	return r
}

// The files of testdata are events of an earlier program.
func TestGoldenFilesOfThisPackage(t *testing.T) {
	t.Parallel()
	eventstreamtest.Golden{Dir: "testdata/events", Update: *update}.Check(t, payments(t, 100), paid{Cents: 5})
}

func TestGoldenWritesOnceAndCompares(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	golden, updating := eventstreamtest.Golden{Dir: dir}, eventstreamtest.Golden{Dir: dir, Update: true}
	old, err := os.ReadFile("testdata/events/invoice%2Fpaid.v1.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old.json"), old, 0o600))
	require.Contains(t, failing(t, func(t testing.TB) { golden.Check(t, payments(t, 100), paid{Cents: 5}) }), "order.paid.v2.json does not exist")

	updating.Check(t, payments(t, 100), paid{Cents: 5})
	golden.Check(t, payments(t, 100), paid{Cents: 6})
	event, err := os.ReadFile(filepath.Join(dir, "order.paid.v2.json"))
	require.NoError(t, err)

	text := failing(t, func(t testing.TB) { golden.Check(t, payments(t, 10), paid{Cents: 5}) })
	require.Contains(t, text, "old.json decodes to other values than before")
	updating.Check(t, payments(t, 10), paid{Cents: 7})
	golden.Check(t, payments(t, 10), paid{Cents: 5})
	again, err := os.ReadFile(filepath.Join(dir, "order.paid.v2.json"))
	require.NoError(t, err)
	require.Equal(t, string(event), string(again), "history is not rewritten")
}

func TestGoldenWantsEverySchemaVersion(t *testing.T) {
	t.Parallel()
	golden := eventstreamtest.Golden{Dir: "testdata/events"}
	more := codec.Upcast(2, func(old paid) (paid, error) { return old, nil })
	require.Contains(t, failing(t, func(t testing.TB) { golden.Check(t, payments(t, 100, more)) }), "no event of schema version 3 of order.paid")
	require.Contains(t, failing(t, func(t testing.TB) { golden.Check(t, payments(t, 100, codec.Formerly("bill.paid"))) }), "no event of type bill.paid")
	empty, err := codec.New()
	require.NoError(t, err)
	require.Contains(t, failing(t, func(t testing.TB) { golden.Check(t, empty) }), "does not have the type")
}
