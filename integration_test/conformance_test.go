package integration_test

import (
	"context"
	"iter"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

func TestConformanceOfTheRepository(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]bool{"GroupCommit": false, "EachByItself": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eventstreamtest.Conformance(t, func(t *testing.T) eventstream.Store {
				config := &eventstream.Config{}
				config.Group.Off = off
				repo, err := eventstream.NewRepository(setup(t).pool, config)
				require.NoError(t, err)
				return repo
			})
		})
	}
}

func TestConformanceOfWithTx(t *testing.T) {
	t.Parallel()
	eventstreamtest.Conformance(t, func(t *testing.T) eventstream.Store {
		b := setup(t)
		return inTransactions{pool: b.pool, repo: b.repo}
	})
}

// inTransactions is a store each of whose calls is a transaction of its own, in which WithTx does the work.
type inTransactions struct {
	pool *pgxpool.Pool
	repo *eventstream.Repository
}

func transaction[T any](ctx context.Context, s inTransactions, f func(repo *eventstream.Repository) (T, error)) (result T, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		result, err = f(s.repo.WithTx(tx))
		return err
	})
	return result, err
}

func transactionSeq[T any](ctx context.Context, s inTransactions, f func(repo *eventstream.Repository) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			yield(none, err)
			return
		}
		defer tx.Rollback(context.WithoutCancel(ctx))
		for value, err := range f(s.repo.WithTx(tx)) {
			if !yield(value, err) {
				return
			}
		}
	}
}

func (s inTransactions) Append(
	ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, events ...eventstream.Event,
) (eventstream.AppendResult, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) (eventstream.AppendResult, error) {
		return r.Append(ctx, id, expected, events...)
	})
}

func (s inTransactions) CloseStream(ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, reason string) (int64, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) (int64, error) { return r.CloseStream(ctx, id, expected, reason) })
}

func (s inTransactions) AppendMany(ctx context.Context, requests ...eventstream.AppendRequest) ([]eventstream.AppendResult, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) ([]eventstream.AppendResult, error) {
		return r.AppendMany(ctx, requests...)
	})
}

func (s inTransactions) Load(ctx context.Context, id eventstream.StreamID) (*eventstream.EventStream, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) (*eventstream.EventStream, error) { return r.Load(ctx, id) })
}

func (s inTransactions) GetOrCreate(ctx context.Context, id eventstream.StreamID) (*eventstream.EventStream, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) (*eventstream.EventStream, error) { return r.GetOrCreate(ctx, id) })
}

func (s inTransactions) Save(ctx context.Context, stream *eventstream.EventStream) (eventstream.AppendResult, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) (eventstream.AppendResult, error) { return r.Save(ctx, stream) })
}

func (s inTransactions) Event(ctx context.Context, id uuid.UUID) (eventstream.Event, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) (eventstream.Event, error) { return r.Event(ctx, id) })
}

func (s inTransactions) Stream(ctx context.Context, id eventstream.StreamID) (eventstream.StreamHead, error) {
	return transaction(ctx, s, func(r *eventstream.Repository) (eventstream.StreamHead, error) { return r.Stream(ctx, id) })
}

func (s inTransactions) Read(ctx context.Context, id eventstream.StreamID, opts eventstream.ReadOptions) iter.Seq2[eventstream.Event, error] {
	return transactionSeq(ctx, s, func(r *eventstream.Repository) iter.Seq2[eventstream.Event, error] { return r.Read(ctx, id, opts) })
}

func (s inTransactions) ReadLog(ctx context.Context, opts eventstream.LogOptions) iter.Seq2[eventstream.LogEvent, error] {
	return transactionSeq(ctx, s, func(r *eventstream.Repository) iter.Seq2[eventstream.LogEvent, error] { return r.ReadLog(ctx, opts) })
}

func (s inTransactions) Streams(ctx context.Context, filter eventstream.StreamFilter) iter.Seq2[eventstream.StreamHead, error] {
	return transactionSeq(ctx, s, func(r *eventstream.Repository) iter.Seq2[eventstream.StreamHead, error] {
		return r.Streams(ctx, filter)
	})
}
