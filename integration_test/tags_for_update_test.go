package integration_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// Who reads for update decides on everything that is committed, also above positions that others have drawn and not committed; a decision in the
// same transaction then meets no conflict. Who has drawn below it, and has not passed the gate, waits there, and is refused.
func TestTagsReadForUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	holder, release := stopBetweenDrawAndGate(t, b)
	raw, untagged, decider := newActor(t, b), newActor(t, b), newActor(t, b)
	_, err := untagged.repo.Append(b.ctx, "untagged-1", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	waiting := start(func() (struct{}, error) {
		return struct{}{}, insertTagged(b.ctx, raw.tx, "raw-1", "order.stopped", "course:7")
	})
	waitBlocked(t, b, raw.pid(), holder)
	_, err = b.repo.Append(b.ctx, "other-1", eventstream.Empty, tagged(t, "course:7"))
	require.NoError(t, err)
	require.Zero(t, position(t, b, byTags("course:7")), "the stable position is held back")

	events, at, err := decider.repo.ReadQueryForUpdate(b.ctx, byTags("course:7"), 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
	release()
	waitBlocked(t, b, raw.pid(), decider.pid())
	_, err = decide(t, b.ctx, decider.repo, byTags("course:7"), at, "mine-1")
	require.NoError(t, err)
	decider.end(t, b, true)
	requireSQLState(t, (<-waiting).err, "ES006")
	raw.end(t, b, false)
	untagged.end(t, b, true)
	requireDecisionsHold(t, b)

	_, _, err = b.repo.ReadQueryForUpdate(b.ctx, byTags("course:7"), 0)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue, "outside a transaction nothing is held")
}

// In one snapshot for all statements, what is locked may have changed already.
func TestTagsReadForUpdateInOneSnapshot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tx, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	execSQL(t, b.ctx, tx, `SELECT 1`)
	given(t, b, "other-1", 1)
	_, _, err = b.repo.WithTx(tx).ReadQueryForUpdate(b.ctx, byTags("course:7"), 0)
	requireSQLState(t, err, "40001")
	_ = tx.Rollback(b.ctx)
}

// 16 at once, over tags of which each two share one: nobody is refused, and nobody's work is lost.
func TestTagsReadForUpdateMeetsNoConflict(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(18))
	group, ctx := errgroup.WithContext(b.ctx)
	for caller := range 16 {
		group.Go(func() error {
			for n := range 5 {
				mine := []string{fmt.Sprintf("t:%d", caller%4), fmt.Sprintf("t:%d", (caller+1)%4)}
				query := eventstream.Query{{Tags: mine[:1]}, {Tags: mine[1:]}}
				err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
					_, at, err := b.repo.WithTx(tx).ReadQueryForUpdate(ctx, query, 0)
					if err != nil {
						return err
					}
					_, err = b.repo.WithTx(tx).AppendIf(ctx, query, at, toStream(eventstream.StreamID(fmt.Sprintf("s-%d", caller)), anEvent(t, n, eventstream.WithTags(mine...))))
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 80, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE metadata ? 'decided'`))
	requireDecisionsHold(t, b)
	requireAuditClean(t, b)
}
