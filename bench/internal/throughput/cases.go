package throughput

import "context"

// testCase is something that applications do.
type testCase struct {
	name string
	// callers are the numbers of callers at once, unless the command line says otherwise. A case for one caller stays at one.
	callers []int
	// prepare fills the store and gives both sides: raw, then gapless.
	prepare func(context.Context, *store) ([]side, error)
}

// Names of what is measured apart from cases.
const (
	growthName   = "growth"
	storageName  = "storage"
	deadRowsName = "dead-rows"
)

// cases gives what is measured, in order.
func cases() []testCase {
	writers, readers, alone := []int{1, 4, 16, 64}, []int{1, 16}, []int{1}
	return []testCase{
		{"append1-new", writers, prepareNew},
		{"append1-existing", writers, prepareExisting},
		{"append10", writers, prepareTen},
		{"append-many5", writers, prepareMany},
		{"hot-any", writers, prepareHotAny},
		{"hot-exact", writers, prepareHotExact},
		{"load100", readers, prepareLoad100},
		{"load10000", readers, prepareLoadLong},
		{"log", alone, prepareLog},
		{"import", alone, prepareImport},
	}
}

// names gives what -only takes.
func names() []string {
	var all []string
	for _, c := range cases() {
		all = append(all, c.name)
	}
	return append(all, growthName, storageName, deadRowsName)
}

// both makes the sides of a case. Each caller gets a call of its own on either side, made by its number.
func (s *store) both(raw, gapless func(caller int) call, checkRaw, checkGapless check) []side {
	sides := []side{{name: "raw", check: checkRaw}, {name: "gapless", check: checkGapless}}
	for caller := range s.callers {
		sides[0].calls = append(sides[0].calls, raw(caller))
		sides[1].calls = append(sides[1].calls, gapless(caller))
	}
	return sides
}
