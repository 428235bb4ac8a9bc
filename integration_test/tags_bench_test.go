package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// What decisions cost beside appends to streams, from 1 and from 32 callers: on streams and tags of their own each, and on one that all share.
// Each reads what is new, decides and appends, as a service does that keeps what it has read. The figures of docs/modelling-tags.md:
//
//	go test ./integration_test -run '^$' -bench DecisionsBesideAppends -benchtime 1x
func BenchmarkDecisionsBesideAppends(t *testing.B) {
	const length = 5 * time.Second
	b := setup(t, withMaxConns(36))
	repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{Group: eventstream.GroupConfig{Off: true}})
	require.NoError(t, err)
	for _, callers := range []int{1, 32} {
		for _, shared := range []bool{false, true} {
			known := make([]int64, callers)
			name := func(kind string, caller int) string {
				if shared {
					caller = -1
				}
				return fmt.Sprintf("%s-%d-%d", kind, callers, caller)
			}
			appends := measureRate(t, b, callers, length, func(caller int) error {
				id := eventstream.StreamID(name("stream", caller))
				head, err := repo.Stream(b.ctx, id)
				if err != nil && !errors.Is(err, eventstream.ErrStreamNotFound) {
					return err
				}
				_, err = repo.Append(b.ctx, id, eventstream.Exact(head.CurrentVersion), anEvent(t, 1))
				return err
			})
			decisions := measureRate(t, b, callers, length, func(caller int) error {
				return decideOnce(b.ctx, t, repo.ReadQuery, repo, name("tag", caller), caller, &known[caller])
			})
			held := measureRate(t, b, callers, length, func(caller int) error {
				return pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
					inTx := repo.WithTx(tx)
					return decideOnce(b.ctx, t, inTx.ReadQueryForUpdate, inTx, name("tag", caller), caller, &known[caller])
				})
			})
			t.Logf("%d callers, shared=%v: appends %.0f/s; decisions %.0f/s, %.2f of it; for update %.0f/s, %.2f",
				callers, shared, appends, decisions, decisions/appends, held, held/appends)
		}
	}
}

// decideOnce reads what came since, and appends an event with the tag to a stream of the caller's.
func decideOnce(
	ctx context.Context, t tester, read func(context.Context, eventstream.Query, int64) ([]eventstream.Event, int64, error),
	repo *eventstream.Repository, tag string, caller int, known *int64,
) error {
	_, at, err := read(ctx, byTags(tag), *known)
	if err != nil {
		return err
	}
	*known = at
	_, err = repo.AppendIf(ctx, byTags(tag), at, toStream(eventstream.StreamID(fmt.Sprintf("%s-%d", tag, caller)), tagged(t, tag)))
	return err
}

// measureRate is how many calls a second succeed; a conflict is no success, and no failure either.
func measureRate(t testing.TB, b *bundle, callers int, length time.Duration, call func(caller int) error) float64 {
	t.Helper()
	var done atomic.Int64
	group, _ := errgroup.WithContext(b.ctx)
	began := time.Now()
	for caller := range callers {
		group.Go(func() error {
			for time.Since(began) < length {
				err := call(caller)
				if err == nil {
					done.Add(1)
				} else if !errors.Is(err, eventstream.ErrDecisionConflict) && !errors.Is(err, eventstream.ErrVersionConflict) {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	return float64(done.Load()) / time.Since(began).Seconds()
}
