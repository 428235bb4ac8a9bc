package command

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// storeStats is a store as --json has it.
type storeStats struct {
	StoreID        uuid.UUID `json:"store_id" db:"store_id"`
	CreatedAt      time.Time `json:"created_at" db:"created_at"`
	Partitions     int       `json:"partitions" db:"partition_count"`
	Streams        int64     `json:"streams" db:"-"`
	Events         int64     `json:"events" db:"-"`
	StablePosition int64     `json:"stable_position" db:"-"`
	LastPosition   int64     `json:"last_position" db:"last_position"`
	Pending        int64     `json:"pending_events" db:"pending"`
	Discarded      int64     `json:"discarded_events" db:"discarded"`
	Subscriptions  int64     `json:"subscriptions" db:"subscriptions"`
	Parked         int64     `json:"parked_events" db:"parked"`
	Bytes          int64     `json:"bytes" db:"bytes"`
}

const statsQuery = `
SELECT
    s.store_id, s.created_at, s.partition_count, eventstream.last_position() AS last_position,
    (SELECT count(*) FROM eventstream.pending_events) AS pending,
    (SELECT count(*) FROM eventstream.discarded_events) AS discarded,
    (SELECT count(*) FROM eventstream.subscriptions) AS subscriptions,
    (SELECT count(*) FROM eventstream.parked_events) AS parked,
    pg_total_relation_size('eventstream.events') AS bytes
FROM eventstream.store AS s`

func (a *app) statsCommand() *cobra.Command {
	var partitions bool
	cmd := &cobra.Command{
		Use: "stats", Short: "Say what the store holds", Args: noArgs,
		Long: `Counts streams and events, and says how far the log can be read. Streams are counted by reading the first event of each. With
--partitions, a row for each partition that holds a stream.`,
		Example: `  gapless stats
  gapless stats --partitions --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				if partitions {
					return a.printPartitions(cmd.Context(), repo)
				}
				stats, err := readStats(cmd.Context(), pool, repo)
				if err != nil {
					return err
				}
				return a.printStats(stats)
			})
		},
	}
	cmd.Flags().BoolVar(&partitions, "partitions", false, "a row for each partition")
	return cmd
}

func readStats(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository) (stats storeStats, err error) {
	head, err := repo.LogHead(ctx)
	if err != nil {
		return stats, err
	}
	rows, err := pool.Query(ctx, statsQuery)
	if err != nil {
		return stats, err
	}
	if stats, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[storeStats]); err != nil {
		return stats, err
	}
	stats.CreatedAt = stats.CreatedAt.UTC()
	stats.Events, stats.StablePosition = head.Sequence, head.Position
	stats.Streams, err = repo.CountStreams(ctx, eventstream.StreamFilter{})
	return stats, err
}

func (a *app) printStats(s storeStats) error {
	return a.out.Record(s,
		[2]string{"store", s.StoreID.String()}, [2]string{"created at", output.Time(s.CreatedAt)},
		[2]string{"partitions", output.Int(s.Partitions)}, [2]string{"streams", output.Int(s.Streams)},
		[2]string{"events", output.Int(s.Events)}, [2]string{"stable position", output.Int(s.StablePosition)},
		[2]string{"last position", output.Int(s.LastPosition)}, [2]string{"pending events", output.Int(s.Pending)},
		[2]string{"discarded events", output.Int(s.Discarded)}, [2]string{"subscriptions", output.Int(s.Subscriptions)},
		[2]string{"parked events", output.Int(s.Parked)}, [2]string{"size", output.Bytes(s.Bytes)})
}

// partitionRow is a partition as --json has it.
type partitionRow struct {
	PartitionID  int   `json:"partition_id"`
	Streams      int64 `json:"streams"`
	Events       int64 `json:"events"`
	Behind       int64 `json:"behind"`
	LastPosition int64 `json:"last_position"`
}

func (a *app) printPartitions(ctx context.Context, repo *eventstream.Repository) error {
	stats, err := repo.PartitionStats(ctx)
	if err != nil {
		return err
	}
	list := a.out.List("#PARTITION", "#STREAMS", "#EVENTS", "#BEHIND", "#POSITION")
	for _, s := range stats {
		row := partitionRow{s.Partition.ID, s.Streams, s.Events, s.Behind, s.LastPosition}
		if err := list.Add(row, output.Int(row.PartitionID), output.Int(row.Streams), output.Int(row.Events), output.Int(row.Behind),
			output.Int(row.LastPosition)); err != nil {
			return err
		}
	}
	return list.Flush()
}
