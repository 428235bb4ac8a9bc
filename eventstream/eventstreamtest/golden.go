package eventstreamtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
)

// Golden keeps old events in files, and what they decode to beside them, so that a program can read tomorrow what it wrote yesterday.
//
// A file of type.vN.json is an event of that type and schema version, as it was stored: it is written once, and never again. The file
// type.vN.values has the values that it decodes to.
type Golden struct {
	// Dir is the directory of the files, as "testdata/events". Required.
	Dir string
	// Update writes what is missing, and the values anew: what changes is for the review to judge. It is a test's own flag, as
	//
	//	var update = flag.Bool("update", false, "write golden files")
	//
	// Default: false.
	Update bool
}

// Check fails the test if an event of the directory decodes to other values than before, if a sample, a value of a registered type as it is
// written today, has no event in the directory, or if a schema version that the registry can read has none.
func (g Golden) Check(t testing.TB, registry *codec.Registry, samples ...any) {
	t.Helper()
	for _, sample := range samples {
		e, err := registry.Encode(sample)
		if err != nil {
			t.Fatal(err)
		}
		g.keep(t, e)
	}
	names, err := filepath.Glob(filepath.Join(g.Dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[eventstream.EventType]map[int]bool{}
	for _, name := range names {
		e := g.check(t, registry, name)
		if found[e.Type] == nil {
			found[e.Type] = map[int]bool{}
		}
		found[e.Type][codec.SchemaVersion(e)] = true
	}
	g.checkAllThere(t, registry, found)
}

// keep writes the event of a sample, unless there is one of its type and schema version.
func (g Golden) keep(t testing.TB, e eventstream.Event) {
	t.Helper()
	name := filepath.Join(g.Dir, fmt.Sprintf("%s.v%d.json", url.PathEscape(string(e.Type)), codec.SchemaVersion(e)))
	if _, err := os.Stat(name); err == nil {
		return
	}
	if !g.Update {
		t.Errorf("%s does not exist: run the test with -update, and commit the file", name)
		return
	}
	text, err := json.MarshalIndent(asStored(e), "", "  ")
	if err == nil {
		err = os.MkdirAll(g.Dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(name, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// check compares the values of an event with those of before.
func (g Golden) check(t testing.TB, registry *codec.Registry, name string) (e eventstream.Event) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	values, err := registry.Decode(e)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return e
	}
	got, kept := shownValues(t, values), strings.TrimSuffix(name, ".json")+".values"
	if g.Update {
		if err := os.WriteFile(kept, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return e
	}
	want, err := os.ReadFile(kept)
	if errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s does not exist: run the test with -update, and commit the file", kept)
	} else if err != nil {
		t.Fatal(err)
	} else if string(want) != got {
		t.Errorf("%s decodes to other values than before:\n got %s\nwant %s\nAdd an upcaster and a schema version; if it is meant, run the test with -update",
			name, got, want)
	}
	return e
}

// shownValues are the Go types and the JSON of values.
func shownValues(t testing.TB, values []any) string {
	t.Helper()
	var b strings.Builder
	for _, value := range values {
		text, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			t.Fatalf("a %T cannot be shown as JSON: %v", value, err)
		}
		fmt.Fprintf(&b, "%T %s\n", value, text)
	}
	return b.String()
}

// checkAllThere demands an event of each name, and one of each schema version under any name of its type.
func (g Golden) checkAllThere(t testing.TB, registry *codec.Registry, found map[eventstream.EventType]map[int]bool) {
	t.Helper()
	for _, known := range registry.Types() {
		if known.Newest == math.MaxInt32 {
			continue // The type is ignored.
		}
		if len(found[known.Type]) == 0 {
			t.Errorf("%s has no event of type %s: put one there as it was stored, or write it with -update and a sample", g.Dir, known.Type)
			continue
		}
		if isFormer(registry, known.Type) {
			continue
		}
		for version := known.Oldest; version <= known.Newest; version++ {
			there := found[known.Type][version]
			for _, former := range registry.Former(known.Type) {
				there = there || found[former][version]
			}
			if !there {
				t.Errorf("%s has no event of schema version %d of %s: put one there as it was stored", g.Dir, version, known.Type)
			}
		}
	}
}

func isFormer(registry *codec.Registry, name eventstream.EventType) bool {
	for _, known := range registry.Types() {
		for _, former := range registry.Former(known.Type) {
			if former == name {
				return true
			}
		}
	}
	return false
}
