package integration_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Each part of the rule "read the sequence, then the locks, then, in a later statement, the events; lock before you draw" is needed: take
// one away, and a reader passes over an event that commits later. The same steps with the true SQL lose nothing.

// pause is a place in a function where it waits while the test holds the gate.
const pause = "PERFORM pg_advisory_xact_lock_shared(42);\n"

// rewrite replaces parts of a function, given as pairs of old and new, and demands that they are there.
func rewrite(t testing.TB, b *bundle, function string, pairs ...string) {
	t.Helper()
	var text string
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT pg_get_functiondef($1::text::regprocedure)`, function).Scan(&text))
	for i := 0; i < len(pairs); i += 2 {
		require.Equal(t, 1, strings.Count(text, pairs[i]), "%q in %s", pairs[i], text)
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	execSQL(t, b.ctx, b.pool, text)
}

// gate is what a paused session waits for.
type gate struct{ conn *pgx.Conn }

func closedGate(t testing.TB, b *bundle) *gate {
	t.Helper()
	g := &gate{session(t, b)}
	execSQL(t, b.ctx, g.conn, `SELECT pg_advisory_lock(42)`)
	return g
}

func (g *gate) pid() uint32 { return g.conn.PgConn().PID() }

func (g *gate) open(t testing.TB, b *bundle) {
	t.Helper()
	execSQL(t, b.ctx, g.conn, `SELECT pg_advisory_unlock(42)`)
}

// passer is a reader as they come: it reads on from where it was, up to the stable position, and never looks back.
type passer struct {
	conn *pgx.Conn
	// inOne reads the position and the events in one statement.
	inOne  bool
	passed int64
	got    []string
}

const passedEvents = `e.position > $1 AND e.position <= `

// poll reads what is new, on a connection or in a transaction.
func (p *passer) poll(ctx context.Context, q querier) (any, error) {
	if p.inOne {
		return nil, p.take(q.Query(ctx, `SELECT s.stable, e.stream_id::text
			FROM (SELECT eventstream.stable_position() AS stable OFFSET 0) AS s
			LEFT JOIN eventstream.events AS e ON `+passedEvents+`s.stable ORDER BY e.position`, p.passed))
	}
	var stable int64
	if err := q.QueryRow(ctx, `SELECT eventstream.stable_position()`).Scan(&stable); err != nil {
		return nil, err
	}
	return nil, p.take(q.Query(ctx, `SELECT $2::bigint, e.stream_id::text FROM (SELECT) AS s
		LEFT JOIN eventstream.events AS e ON `+passedEvents+`$2 ORDER BY e.position`, p.passed, stable))
}

func (p *passer) take(rows pgx.Rows, err error) error {
	if err != nil {
		return err
	}
	var stable int64
	var stream *string
	_, err = pgx.ForEachRow(rows, []any{&stable, &stream}, func() error {
		if stream != nil {
			p.got = append(p.got, *stream)
		}
		return nil
	})
	p.passed = max(p.passed, stable)
	return err
}

// lossyRule is a part of the rule, the SQL without it, and the steps that show the loss.
type lossyRule struct {
	// given prepares the store for both; without takes the rule away.
	given, without func(t *testing.T, b *bundle)
	// inOne makes the reader without the rule use one statement.
	inOne bool
	steps func(t *testing.T, b *bundle, p *passer)
}

const readSequence = "    v_last := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);\n"

var lossyRules = map[string]lossyRule{
	"EventsAreReadInALaterStatement": {
		inOne: true,
		given: func(t *testing.T, b *bundle) {
			rewrite(t, b, "eventstream.stable_position()", readSequence, pause+readSequence)
		},
		// The statement begins, and sees what is committed by then; A commits; only now it looks at sequence and locks.
		steps: func(t *testing.T, b *bundle, p *passer) {
			a, g := newActor(t, b), closedGate(t, b)
			execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
			given(t, b, "later-1", 1)
			polled := start(func() (any, error) { return p.poll(b.ctx, p.conn) })
			waitBlocked(t, b, p.conn.PgConn().PID(), g.pid())
			a.end(t, b, true)
			g.open(t, b)
			require.NoError(t, (<-polled).err)
		},
	},
	"AWriterLocks": {
		without: func(t *testing.T, b *bundle) { withoutLock(t, b) },
		steps: func(t *testing.T, b *bundle, p *passer) {
			a := newActor(t, b)
			execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
			given(t, b, "later-1", 1)
			_, err := p.poll(b.ctx, p.conn)
			require.NoError(t, err)
			a.end(t, b, true)
		},
	},
	"AWriterLocksBeforeItDraws": {
		without: func(t *testing.T, b *bundle) {
			withoutLock(t, b)
			execSQL(t, b.ctx, b.pool, `
				CREATE FUNCTION public.late_lock() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN
					PERFORM pg_advisory_xact_lock_shared(eventstream.in_flight_key(
						split_part(current_setting('eventstream.in_flight'), ' ', 1)::bigint));
					RETURN NULL;
				END $$;
				CREATE TRIGGER late_lock AFTER INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION public.late_lock()`)
		},
		// A has drawn its position, and waits in the next column.
		steps: func(t *testing.T, b *bundle, p *passer) {
			a, g := newActor(t, b), closedGate(t, b)
			inserted := start(func() (any, error) {
				return a.tx.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
					VALUES ('held-1', 1, 3, 'a.b', to_jsonb(pg_advisory_xact_lock_shared(42)::text))`)
			})
			waitBlocked(t, b, a.pid(), g.pid())
			require.Equal(t, int64(1), drawn(t, b))
			given(t, b, "later-1", 1)
			_, err := p.poll(b.ctx, p.conn)
			require.NoError(t, err)
			g.open(t, b)
			require.NoError(t, (<-inserted).err)
			_, err = p.poll(b.ctx, p.conn)
			require.NoError(t, err)
			a.end(t, b, true)
		},
	},
	"TheSequenceIsReadBeforeTheLocks": {
		given: func(t *testing.T, b *bundle) {
			rewrite(t, b, "eventstream.stable_position()", readSequence, readSequence+pause)
		},
		without: func(t *testing.T, b *bundle) {
			rewrite(t, b, "eventstream.stable_position()", readSequence+pause, "", "    RETURN least(", pause+readSequence+"    RETURN least(")
		},
		// Between the two looks A locks and draws, and B draws a higher one and commits.
		steps: func(t *testing.T, b *bundle, p *passer) {
			a, g := newActor(t, b), closedGate(t, b)
			polled := start(func() (any, error) { return p.poll(b.ctx, p.conn) })
			waitBlocked(t, b, p.conn.PgConn().PID(), g.pid())
			execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
			given(t, b, "later-1", 1)
			g.open(t, b)
			require.NoError(t, (<-polled).err)
			a.end(t, b, true)
		},
	},
	"OneSnapshotGetsTheKeptPosition": {
		without: func(t *testing.T, b *bundle) {
			rewrite(t, b, "eventstream.stable_position()", "current_setting('transaction_isolation') IN ('repeatable read', 'serializable')", "false")
		},
		// What the reader sees is decided before A commits, all other looks come after it.
		steps: func(t *testing.T, b *bundle, p *passer) {
			a := newActor(t, b)
			execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
			given(t, b, "later-1", 1)
			tx, err := p.conn.BeginTx(b.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
			require.NoError(t, err)
			execSQL(t, b.ctx, tx, `SELECT count(*) FROM eventstream.events`)
			a.end(t, b, true)
			_, err = p.poll(b.ctx, tx)
			require.NoError(t, err)
			require.NoError(t, tx.Commit(b.ctx))
		},
	},
}

// withoutLock leaves of the in-flight trigger what the gate asks for.
func withoutLock(t *testing.T, b *bundle) {
	t.Helper()
	rewrite(t, b, "eventstream.events_in_flight()",
		"WHILE NOT pg_try_advisory_xact_lock_shared(eventstream.in_flight_key(v_key)) LOOP", "WHILE false LOOP")
}

func TestStableEveryPartOfTheRuleIsNeeded(t *testing.T) {
	t.Parallel()
	for name, rule := range lossyRules {
		for half, without := range map[string]bool{"WithIt": false, "WithoutIt": true} {
			t.Run(name+"/"+half, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				if rule.given != nil {
					rule.given(t, b)
				}
				if without && rule.without != nil {
					rule.without(t, b)
				}
				p := &passer{conn: session(t, b), inOne: without && rule.inOne}
				rule.steps(t, b, p)
				// Whatever is there now has been committed, and nobody writes.
				_, err := p.poll(b.ctx, p.conn)
				require.NoError(t, err)
				require.Equal(t, drawn(t, b), p.passed)
				require.EqualValues(t, 2, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
				if !without {
					require.Equal(t, []string{"held-1", "later-1"}, p.got, "both, in order")
				} else {
					require.Equal(t, []string{"later-1"}, p.got, "the event that A committed last is lost")
				}
			})
		}
	}
}

// ReadLog follows the rule: between its look at the sequence and the one at the locks, A locks and draws, B draws a higher one and
// commits; and between its look at the locks and the events, A commits. It gives what was stable at its look, and no more.
func TestStableReadLogFollowsTheRule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rewrite(t, b, "eventstream.stable_position()", readSequence, readSequence+pause)
	given(t, b, "before-1", 1)
	conn, a, g := session(t, b), newActor(t, b), closedGate(t, b)
	read := start(func() ([]eventstream.LogEvent, error) {
		var all []eventstream.LogEvent
		for e, err := range repoOn(t, conn).ReadLog(b.ctx, eventstream.LogOptions{}) {
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		return all, nil
	})
	waitBlocked(t, b, conn.PgConn().PID(), g.pid())
	execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
	given(t, b, "later-1", 1)
	a.end(t, b, true)
	g.open(t, b)
	got := <-read
	require.NoError(t, got.err)
	require.Equal(t, []string{"before-1 1"}, placesOf(got.value))
	requireLog(t, b, "before-1 1", "held-1 1", "later-1 1")
}
