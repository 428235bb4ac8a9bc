package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream/process"
)

// Run is told to end while the commit of what a handler did is on its way: it is seen through, and the timer does not fire again.
func TestTimersEndSeesTheCommitThrough(t *testing.T) {
	t.Parallel()
	b := withFired(t, setup(t))
	at := pauseBefore(0, "")
	a := anotherProcess(t, b, nil, tracedBy(at))
	session := make(chan context.Context, 1)
	timers := newTimers(t, a, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if err := writeFired(ctx, tx, timer); err != nil {
			return err
		}
		at.pauseNext("commit")
		session <- ctx
		return nil
	}, nil)
	goOn := resumed(t, at)
	require.NoError(t, process.At(b.ctx, b.repo, reminder("a"), time.Now(), nil))
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	ended := inBackground(func() error { return timers.Run(ctx) })
	at.await(t, ended)
	cancel()
	<-(<-session).Done()
	goOn()
	require.NoError(t, <-ended)
	requireFiredOnce(t, b, "a")
}
