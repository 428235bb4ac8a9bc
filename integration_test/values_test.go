package integration_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// valueCase is a line of eventstream/testdata/values.json, which that package's own tests feed to Go alone.
type valueCase struct {
	Kind, Value, Hex, Why string
	Valid, Slow           bool
	// Parts, each so many times, make a value that is too long to be written out.
	Parts []struct {
		Text  string
		Times int
	}
}

func (c valueCase) text(t *testing.T) string {
	t.Helper()
	if len(c.Parts) > 0 {
		var text strings.Builder
		for _, part := range c.Parts {
			text.WriteString(strings.Repeat(part.Text, part.Times))
		}
		return text.String()
	}
	if c.Hex == "" {
		return c.Value
	}
	raw, err := hex.DecodeString(c.Hex)
	require.NoError(t, err)
	return string(raw)
}

// eventValues are the columns of an event that is in order.
var eventValues = map[string]string{
	"stream_id": `gen_random_uuid()::text`, "version": `1`, "event_id": `gen_random_uuid()`, "occurred_at": `now()`, "tenant_id": `'t'`,
	"partition_id": `0`, "type": `'t'`, "payload": `'{}'`, "data": `NULL`, "metadata": `'{}'`,
}

// insertValue inserts an event with one value from text; the gate of the table judges it.
func insertValue(table, column, value, returning string) string {
	columns, values := make([]string, 0, len(eventValues)), make([]string, 0, len(eventValues))
	for c, v := range eventValues {
		if c == column {
			v = value
		}
		columns, values = append(columns, c), append(values, v)
	}
	return fmt.Sprintf(`INSERT INTO eventstream.%s (%s) VALUES (%s) RETURNING %s`,
		table, strings.Join(columns, ", "), strings.Join(values, ", "), returning)
}

// valuesInSQL makes a value of each kind from text, as a table does.
func valuesInSQL(table string) map[string]string {
	return map[string]string{
		"stream_id":    insertValue(table, "stream_id", `$1::text`, `stream_id`),
		"tenant_id":    insertValue(table, "tenant_id", `$1::text`, `tenant_id`),
		"event_type":   insertValue(table, "type", `$1::text`, `type`),
		"payload":      insertValue(table, "payload", `$1::text::jsonb`, `left(payload::text, 100)`),
		"metadata":     insertValue(table, "metadata", `$1::text::jsonb`, `left(metadata::text, 100)`),
		"data":         insertValue(table, "data", `convert_to($1::text, 'UTF8')`, `octet_length(data)::text`),
		"version":      insertValue(table, "version", `$1::text::bigint`, `version::text`),
		"partition_id": insertValue(table, "partition_id", `$1::text::integer`, `partition_id::text`),
		"event_id":     insertValue(table, "event_id", `$1::text::uuid`, `event_id::text`),
		"occurred_at":  insertValue(table, "occurred_at", `$1::text::timestamptz`, `occurred_at::text`),
		"partition_count": `SELECT $1::text FROM eventstream.partition_of('a', $1::text::integer) AS p
			WHERE p BETWEEN 0 AND 32768`,
	}
}

// valueInSQL is what eventstream.events takes.
var valueInSQL = valuesInSQL("events")

// valueInGo makes the same in Go.
var valueInGo = map[string]func(text string) error{
	"stream_id":  func(s string) error { _, err := eventstream.NewStreamID(s); return err },
	"tenant_id":  func(s string) error { _, err := eventstream.NewTenantID(s); return err },
	"event_type": func(s string) error { _, err := eventstream.NewEventType(s); return err },
	"payload":    func(s string) error { _, err := eventstream.NewEvent("a", json.RawMessage(s)); return err },
	"metadata": func(s string) error {
		_, err := eventstream.NewEvent("a", nil, eventstream.WithMetadata(json.RawMessage(s)))
		return err
	},
	"version": func(s string) error {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return err
		}
		_, err = eventstream.ReconstructFrom(v-1, "s", eventstream.PartitionKey{Count: 1}, v, v,
			[]eventstream.Event{{StreamID: "s", Version: v}}, nil, time.Time{}, time.Time{})
		return err
	},
	"partition_id": func(s string) error {
		id, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		_, err = eventstream.NewPartitionKey(id, eventstream.DefaultPartitionCount)
		return err
	},
	"partition_count": func(s string) error {
		count, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		_, err = eventstream.PartitionOf("a", count)
		return err
	},
	"event_id": func(s string) error {
		id, err := uuid.Parse(s)
		if err != nil {
			return err
		}
		_, err = eventstream.NewEvent("a", nil, eventstream.WithEventID(id))
		return err
	},
	"occurred_at": func(s string) error {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return err
		}
		_, err = eventstream.NewEvent("a", nil, eventstream.WithOccurredAt(at))
		return err
	},
	"data": func(s string) error {
		_, err := eventstream.NewEvent("a", nil, eventstream.WithData([]byte(s)))
		return err
	},
}

// refusalsOfValues are the SQLSTATEs of a bad value: ours, and PostgreSQL's for text that is not UTF-8 (22021), JSON that is none
// (22P02, 22P05) and numbers out of range (22003).
var refusalsOfValues = map[string][]string{
	"stream_id":    {"ES008", "22021"},
	"tenant_id":    {"ES008", "22021"},
	"event_type":   {"ES008", "22021"},
	"payload":      {"ES008", "22P02", "22P05", "22021", "22003"},
	"metadata":     {"ES008", "22P02", "22P05", "22021", "22003"},
	"data":         {"ES008"},
	"version":      {"ES008"},
	"partition_id": {"ES007"},
	// Text that is no UUID, and no time, is PostgreSQL's to refuse.
	"event_id":        {"ES008", "22P02"},
	"occurred_at":     {"ES008", "22007", "22008"},
	"partition_count": {"ES008"},
}

// discarded runs fn in a transaction that is rolled back, so that the same value can come again.
func discarded(t *testing.T, b *bundle, fn func(tx pgx.Tx) error) error {
	t.Helper()
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(b.ctx)) }()
	return fn(tx)
}

// valueCases reads the table of cases.
func valueCases(t *testing.T) []valueCase {
	t.Helper()
	raw, err := os.ReadFile("../eventstream/testdata/values.json")
	require.NoError(t, err)
	var cases []valueCase
	require.NoError(t, json.Unmarshal(raw, &cases))
	return cases
}

func TestValuesAreJudgedAlikeByGoAndSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := map[string]int{}
	for _, c := range valueCases(t) {
		seen[c.Kind]++
		if c.Slow {
			continue
		}
		t.Run(c.Kind+"/"+c.Why, func(t *testing.T) {
			text := c.text(t)
			inGo := valueInGo[c.Kind](text)
			var got string
			inSQL := discarded(t, b, func(tx pgx.Tx) error { return tx.QueryRow(b.ctx, valueInSQL[c.Kind], text).Scan(&got) })
			if !c.Valid {
				require.Error(t, inGo, "%.200q", text)
				requireValueRefused(t, c, inSQL)
				return
			}
			require.NoError(t, inGo, "%.200q", text)
			if c.Kind == "version" && text != "1" {
				requireSQLState(t, inSQL, "ES002") // a version like any other, but a stream begins with 1
				return
			}
			require.NoError(t, inSQL, "%.200q", text)
			switch c.Kind {
			case "payload", "metadata", "occurred_at":
			case "data":
				require.Equal(t, strconv.Itoa(len(text)), got)
			default:
				require.Equal(t, text, got)
			}
		})
	}
	for kind := range valueInSQL {
		require.Positive(t, seen[kind], "no case of kind %q", kind)
	}
}

// What waits is judged as what enters: it will enter one day.
func TestValuesThatWaitAreJudgedAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waiting := valuesInSQL("pending_events")
	for _, c := range valueCases(t) {
		if c.Kind == "partition_count" || c.Slow {
			continue // the one is no column; the others are for the next test
		}
		t.Run(c.Kind+"/"+c.Why, func(t *testing.T) {
			var got string
			err := discarded(t, b, func(tx pgx.Tx) error { return tx.QueryRow(b.ctx, waiting[c.Kind], c.text(t)).Scan(&got) })
			if c.Valid {
				require.NoError(t, err)
			} else {
				requireValueRefused(t, c, err)
			}
		})
	}
}

// The largest values that there may be, as text or as bytes, and larger ones. The server makes them, and each has the time of a whole test.
func TestLargeValuesAreJudgedAlikeByGoAndSQL(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	const made = `(SELECT string_agg(repeat(u.t, u.n), '' ORDER BY u.o)
		FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS u (t, n, o))`
	for _, c := range valueCases(t) {
		if !c.Slow {
			continue
		}
		t.Run(c.Kind+"/"+c.Why, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var texts []string
			var times []int
			for _, part := range c.Parts {
				texts, times = append(texts, part.Text), append(times, part.Times)
			}
			var got string
			inSQL := discarded(t, b, func(tx pgx.Tx) error {
				return tx.QueryRow(b.ctx, strings.Replace(valueInSQL[c.Kind], `$1::text`, made, 1), texts, times).Scan(&got)
			})
			inGo := valueInGo[c.Kind](c.text(t))
			if c.Valid {
				require.NoError(t, inSQL)
				require.NoError(t, inGo)
				return
			}
			requireValueRefused(t, c, inSQL)
			require.ErrorIs(t, inGo, eventstream.ErrInvalidValue)
		})
	}
}

func requireValueRefused(t *testing.T, c valueCase, err error) {
	t.Helper()
	require.Error(t, err)
	require.Contains(t, refusalsOfValues[c.Kind], sqlState(err), "%v", err)
}

// How long JSON is as text, Go computes and the database knows.
func TestPrintedJSONIsAsTheTableSays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	raw, err := os.ReadFile("../internal/jsontext/testdata/json_printed.json")
	require.NoError(t, err)
	var cases []struct {
		JSON  string
		Bytes int64
	}
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		require.Equal(t, c.Bytes, number(t, b.ctx, b.pool, `SELECT octet_length($1::text::jsonb::text)`, c.JSON), c.JSON)
	}
}

// Strings of all sorts, most of them at the edges of the rules: what one side takes the other takes too.
func TestRandomValuesAreJudgedAlikeByGoAndSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = 4000
	rnd := newRand(t)
	for _, kind := range []string{"stream_id", "tenant_id", "event_type", "payload"} {
		t.Run(kind, func(t *testing.T) {
			texts := make([]string, n)
			for i := range texts {
				texts[i] = randomText(rnd, kind)
			}
			conn := session(t, b)
			simple(t, conn, `CREATE FUNCTION pg_temp.judge(p text) RETURNS boolean LANGUAGE plpgsql AS $f$
				DECLARE v text;
				BEGIN
					EXECUTE $e$`+valueInSQL[kind]+`$e$ INTO v USING p;
					RAISE SQLSTATE 'OK000'; -- taken back: the same value may come again
				EXCEPTION WHEN SQLSTATE 'OK000' THEN RETURN true; WHEN OTHERS THEN RETURN false;
				END $f$`)
			var verdicts []bool
			require.NoError(t, conn.QueryRow(b.ctx, `SELECT array_agg(pg_temp.judge(u.v) ORDER BY u.n)
				FROM unnest($1::text[]) WITH ORDINALITY AS u (v, n)`, texts).Scan(&verdicts))
			require.Len(t, verdicts, n)
			valid := 0
			for i, text := range texts {
				err := valueInGo[kind](text)
				require.Equal(t, err == nil, verdicts[i], "%q: Go says %v, SQL %v", text, err, verdicts[i])
				if verdicts[i] {
					valid++
				}
			}
			require.Greater(t, valid, n/20, "too few valid ones to prove anything")
			require.Less(t, valid, n*19/20, "too few invalid ones to prove anything")
		})
	}
}

func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Characters around which the rules turn: ends of the ranges of control characters and white space, and their neighbours.
var edgeRunes = []rune("\x01\x08\t\n\v\f\r\x0e\x1f !~\x7f\u0080\u0084\u0085\u0086\u009f\u00a0\u00a1\u167f\u1680\u1681\u180e\u1fff\u2000\u2001" +
	"\u200a\u200b\u2027\u2028\u2029\u202a\u202e\u202f\u2030\u205e\u205f\u2060\u2fff\u3000\u3001\ufeff\ufffd\ufffe\U0001f600\U0010ffff")

func randomText(rnd *rand.Rand, kind string) string {
	alphabets := []string{string(edgeRunes), "abcXYZ019", "abcXYZ019_-.:/", "aé€😀 ", "@[`{/:-_.^"}
	length := rnd.IntN(4)
	if kind == "payload" {
		alphabets = []string{`{}[]":,0123456789.eE+-`, `"\u00d8dc`, "nul true false", `"\"\\abc` + "\x01\t\u2028"}
		length = rnd.IntN(8)
		if rnd.IntN(3) == 0 {
			return `"` + strings.Trim(fmt.Sprintf("%q", string(edgeRunes[rnd.IntN(len(edgeRunes))])), `"`) + `"`
		}
		if rnd.IntN(3) == 0 {
			return fmt.Sprintf(`["\u%04x\u%04x", %de%d]`, rnd.IntN(0x10000), 0xd700+rnd.IntN(0xa00), rnd.IntN(20), rnd.IntN(20)-10)
		}
	} else if rnd.IntN(4) == 0 {
		length = 28 + rnd.IntN(105)
	}
	alphabet := []rune(alphabets[rnd.IntN(len(alphabets))])
	var text strings.Builder
	for range length {
		text.WriteRune(alphabet[rnd.IntN(len(alphabet))])
	}
	return text.String()
}

func TestPartitionsAreTheSameInGoAndSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("AsTheTableSays", func(t *testing.T) {
		raw, err := os.ReadFile("../eventstream/testdata/partitions.json")
		require.NoError(t, err)
		var cases []struct {
			StreamID   eventstream.StreamID `json:"stream_id"`
			Partitions map[string]int       `json:"partitions"`
		}
		require.NoError(t, json.Unmarshal(raw, &cases))
		require.NotEmpty(t, cases)
		for _, c := range cases {
			require.NotEmpty(t, c.Partitions)
			for text, want := range c.Partitions {
				count, err := strconv.Atoi(text)
				require.NoError(t, err)
				inGo, err := eventstream.PartitionOf(c.StreamID, count)
				require.NoError(t, err)
				require.Equal(t, want, inGo.ID, "%q of %d", c.StreamID, count)
				var inSQL int
				require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT eventstream.partition_of($1::text, $2::integer)`,
					string(c.StreamID), count).Scan(&inSQL))
				require.Equal(t, want, inSQL, "%q of %d", c.StreamID, count)
			}
		}
	})

	t.Run("AThousandRandomOnes", func(t *testing.T) {
		rnd := newRand(t)
		var ids []string
		var counts, want, got []int
		for len(ids) < 1000 {
			id := randomText(rnd, "stream_id")
			count := 1 + rnd.IntN(32768)
			key, err := eventstream.PartitionOf(eventstream.StreamID(id), count)
			if _, invalid := eventstream.NewStreamID(id); invalid != nil || err != nil {
				continue
			}
			ids, counts, want = append(ids, id), append(counts, count), append(want, key.ID)
		}
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT array_agg(eventstream.partition_of(u.id, u.c) ORDER BY u.n)
			FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS u (id, c, n)`, ids, counts).Scan(&got))
		require.Equal(t, want, got)
	})

	t.Run("CountOutOfRange", func(t *testing.T) {
		for _, count := range []int{0, -1, 32769} {
			_, inGo := eventstream.PartitionOf("a", count)
			require.ErrorIs(t, inGo, eventstream.ErrInvalidValue)
			_, inSQL := b.pool.Exec(b.ctx, `SELECT eventstream.partition_of('a', $1)`, count)
			requireSQLState(t, inSQL, "ES008")
		}
	})

	t.Run("AStreamGoesThere", func(t *testing.T) {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.append('order-' || n, 'order.placed') FROM generate_series(1, 200) AS n`)
		require.NoError(t, err)
		var wrong int
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT count(*) FROM eventstream.streams AS s
			WHERE s.partition_id <> eventstream.partition_of(s.stream_id, 32)`).Scan(&wrong))
		require.Zero(t, wrong)
	})
}
