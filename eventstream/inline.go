package eventstream

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/lenttx"
)

// InlineProjection is called in the transaction of every append of a repository (Config.Inline), with the events as they were
// stored: what it writes through tx is there if and only if they are. An error rolls the append back and is returned by it. It
// makes every append as slow as itself; writers that do not go through the repository pass it by.
type InlineProjection func(ctx context.Context, tx pgx.Tx, events []Event) error

// beginner is what every Handle is but the interface does not say: a transaction begins a savepoint.
type beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// project appends in a transaction, if the repository has inline projections, and runs these before it commits. do returns which
// versions of which streams were appended.
func (r *Repository) project(ctx context.Context, h Handle, do func(Handle) ([]versionRange, error)) error {
	if len(r.config.Inline) == 0 {
		_, err := do(h)
		return err
	}
	b, ok := h.(beginner)
	if !ok {
		return invalidValue("handle", "without Begin", "a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx, for inline projections")
	}
	begin := func(f func(pgx.Tx) error) error { return pgx.BeginFunc(ctx, b, f) }
	if alone, ok := isolation.AloneOn(h); ok {
		// What waited for another writer must see what it wrote.
		begin = func(f func(pgx.Tx) error) error {
			return pgx.BeginTxFunc(ctx, alone, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, f)
		}
	}
	return begin(func(tx pgx.Tx) error {
		ranges, err := do(tx)
		if err != nil {
			return err
		}
		for _, v := range ranges {
			events, err := r.eventRange(ctx, tx, v.stream, v.first, int(v.last-v.first+1))
			if err != nil {
				return mapError(err)
			}
			for _, projection := range r.config.Inline {
				if err := projection(ctx, lenttx.Tx{Tx: unboundTx(tx), Refusal: ErrTxEnded}, events); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// projectOrReadCommitted is project, once more in READ COMMITTED if another writer was in the way of a snapshot of a higher isolation.
func (r *Repository) projectOrReadCommitted(ctx context.Context, h Handle, do func(Handle) ([]versionRange, error)) error {
	return isolation.OrReadCommitted(ctx, h, func(h db.DBTX) error { return r.project(ctx, h, do) })
}

// versionRange is what one append added to a stream.
type versionRange struct {
	stream      StreamID
	first, last int64
}

// added returns what results say was appended, duplicates left out.
func added(requests []AppendRequest, results []AppendResult) []versionRange {
	ranges := make([]versionRange, 0, len(results))
	for i, result := range results {
		if !result.Duplicate {
			ranges = append(ranges, versionRange{requests[i].StreamID, result.FirstVersion, result.LastVersion})
		}
	}
	return ranges
}
