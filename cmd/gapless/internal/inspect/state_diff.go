package inspect

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

// maxChanges bounds how many differences a page shows.
const maxChanges = 300

// change is a place of a state that is other than before.
type change struct {
	Path          string
	Kind          string
	Before, After string
}

// difference gives what is other in now than in before, by JSON pointer.
func difference(before, now any) (changes []change, cut bool) {
	compare(&changes, "", before, now)
	return changes[:min(len(changes), maxChanges)], len(changes) > maxChanges
}

func compare(changes *[]change, path string, before, now any) {
	if len(*changes) > maxChanges || reflect.DeepEqual(before, now) {
		return
	}
	was, wasObject := before.(map[string]any)
	is, isObject := now.(map[string]any)
	if !isObject || !wasObject && before != nil {
		*changes = append(*changes, change{path, "changed", text(before), text(now)})
		return
	}
	for _, key := range keysOf(was, is) {
		place := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		old, had := was[key]
		value, has := is[key]
		switch {
		case !had:
			*changes = append(*changes, change{place, "added", "", text(value)})
		case !has:
			*changes = append(*changes, change{place, "removed", text(old), ""})
		default:
			compare(changes, place, old, value)
		}
	}
}

func keysOf(a, b map[string]any) []string {
	keys := make([]string, 0, len(a)+len(b))
	for key := range a {
		keys = append(keys, key)
	}
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// text is a value as a cell of a table.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return output.Clean(brief(string(encoded), 400))
}
