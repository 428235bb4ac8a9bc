package integration_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// heldCommit holds a process when the transaction is committed in which a rebuild takes the place of the live tables.
type heldCommit struct {
	*pausing
	switching atomic.Pointer[pgx.Conn]
}

func (h *heldCommit) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	ctx = h.pausing.TraceQueryStart(ctx, conn, data)
	if strings.Contains(data.SQL, "SubscriptionReplace") {
		h.switching.Store(conn)
	}
	return ctx
}

func (h *heldCommit) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if data.CommandTag.String() == "COMMIT" && h.switching.CompareAndSwap(conn, nil) {
		close(h.paused)
		<-h.resume
	}
}

// Steps: a rebuild has taken the place of the live tables, and does not know it yet; its process finds that the shards which filled them are
// gone. That is as planned: nobody is told of a lost shard.
func TestProjectionRebuildTellsOfNoLostShard(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	given(t, b, "order-1", 50)
	caughtUp(t, b, projector(t, b, counts(nil)))
	held := &heldCommit{pausing: pauseBefore(0, "")}
	a := anotherProcess(t, b, nil, withMaxConns(16), tracedWith(held))
	told := newWitness()
	p := counts(nil)
	p.Config = &subscription.Config{Observer: told.observe}
	rebuilder, err := subscription.NewProjector(a.repo, p)
	require.NoError(t, err)
	rebuilding := inBackground(func() error { return rebuilder.Rebuild(b.ctx, nil) })
	goOn := resumed(t, held.pausing)
	held.await(t, rebuilding)
	claims := held.count("ShardClaim")
	require.Eventually(t, func() bool { return held.count("ShardClaim") >= claims+3 }, blockTimeout, time.Millisecond)
	goOn()
	require.NoError(t, <-rebuilding)
	require.Len(t, toldOf[subscription.ShardClaimed](told), 1)
	require.Empty(t, toldOf[subscription.ShardLost](told))
	requireCounted(t, b, "counts.streams")
}
