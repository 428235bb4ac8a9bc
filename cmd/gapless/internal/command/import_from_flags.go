package command

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/foreign"
)

// Histories of other stores, as --from names them.
const (
	fromMessageDB = "message-db"
	fromMarten    = "marten"
	fromKurrentDB = "kurrentdb-ndjson"
	fromTable     = "table"
)

// fromFlags say which history of another store is imported, and how.
type fromFlags struct {
	from, dsn string
	mapping   foreign.Mapping
	options   foreign.Options
	dryRun    bool
}

func (f *fromFlags) add(flags *pflag.FlagSet) {
	m := &f.mapping
	flags.StringVar(&f.from, "from", "", "history of another store: message-db, marten, kurrentdb-ndjson or table")
	flags.StringVar(&f.dsn, "source-dsn", "", "database of that store (default: that of the Gapless store)")
	flags.StringVar(&m.Table, "source-table", "", "table of that store (default: message_store.messages, public.mt_events)")
	flags.StringVar(&m.Stream, "stream-column", "", "table: column with the name of the stream")
	flags.StringVar(&m.Type, "type-column", "", "table: column with the type of the event")
	flags.StringVar(&m.Payload, "payload-column", "", "table: column with the payload: JSON, text that is JSON, or bytea")
	flags.StringVar(&m.Version, "version-column", "", "table: column with the number of the event in its stream")
	flags.StringVar(&m.Order, "order-column", "", "table: column with the place of the event in the log")
	flags.StringVar(&m.ID, "id-column", "", "table: column with the id of the event (default: derived from stream and version)")
	flags.StringVar(&m.Time, "time-column", "", "table: column with the time of the event (default: now)")
	flags.StringVar(&m.Metadata, "metadata-column", "", "table: column with a JSON object")
	flags.StringVar(&m.Tenant, "tenant-column", "", "table: column with the tenant")
	flags.Int64Var(&m.FirstVersion, "first-version", 1, "table: number of the first event of a stream, 0 or 1")
	flags.StringVar(&f.options.Prefix, "stream-prefix", "", "text that comes before the name of every stream, as order-")
	flags.BoolVar(&f.options.Renumber, "renumber", false, "close holes: number the events of each stream anew, and keep the old number in metadata")
	flags.BoolVar(&f.options.System, "system", false, "kurrentdb-ndjson: take system events too, whose names begin with $")
}

// onlyWithFrom refuses flags that say something about another store where there is none.
func onlyWithFrom(flags *pflag.FlagSet) (err error) {
	var own pflag.FlagSet
	(&fromFlags{}).add(&own)
	flags.Visit(func(f *pflag.Flag) {
		if own.Lookup(f.Name) != nil {
			err = usagef("--%s goes with --from, which says of what store", f.Name)
		}
	})
	return err
}

// check says which flags and arguments do not go together.
func (f *fromFlags) check(flags *pflag.FlagSet, args []string) (err error) {
	takes := []string{"from", "source-dsn", "source-table", "stream-prefix", "renumber"}
	switch f.from {
	case fromKurrentDB:
		takes = []string{"from", "stream-prefix", "renumber", "system"}
		if len(args) != 1 {
			return usagef("import --from %s takes one file, or - for standard input", f.from)
		}
	case fromMessageDB, fromMarten, fromTable:
		if len(args) != 0 {
			return usagef("import --from %s reads a table, and takes no file: %q", f.from, args[0])
		}
	default:
		return usagef("--from %q: must be %s, %s, %s or %s", f.from, fromMessageDB, fromMarten, fromKurrentDB, fromTable)
	}
	var own pflag.FlagSet
	(&fromFlags{}).add(&own)
	flags.Visit(func(flag *pflag.Flag) {
		isTables := f.from == fromTable && flag.Name != "system"
		if own.Lookup(flag.Name) != nil && !isTables && !slices.Contains(takes, flag.Name) {
			err = usagef("--%s does not go with --from %s: it takes --%s", flag.Name, f.from, strings.Join(takes[1:], ", --"))
		}
	})
	return err
}
