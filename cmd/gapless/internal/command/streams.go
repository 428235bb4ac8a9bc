package command

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// streamRow is a stream as --json has it.
type streamRow struct {
	StreamID       eventstream.StreamID `json:"stream_id"`
	TenantID       eventstream.TenantID `json:"tenant_id"`
	PartitionID    int                  `json:"partition_id"`
	CurrentVersion int64                `json:"current_version"`
	Watermark      int64                `json:"watermark"`
	LastPosition   int64                `json:"last_position"`
	CreatedAt      time.Time            `json:"created_at"`
	UpdatedAt      time.Time            `json:"updated_at"`
}

func (a *app) streamsCommand() *cobra.Command {
	var filter eventstream.StreamFilter
	var tenant, after string
	partition := -1
	cmd := &cobra.Command{
		Use: "streams", Short: "List streams, and where each stands", Args: noArgs,
		Long: `Lists streams in byte order of their ids. The watermark is the version up to which every event is there; where it is below the current
version, events wait for others (gapless pending list).`,
		Example: `  gapless streams --category order --limit 20
  gapless streams --limit 100 --after order-100 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter.Tenant, filter.After = eventstream.TenantID(tenant), eventstream.StreamID(after)
			if cmd.Flags().Changed("partition") {
				filter.Partition = &partition
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				list := a.out.List("STREAM", "TENANT", "#PARTITION", "#VERSION", "#WATERMARK", "#POSITION", "UPDATED AT")
				for head, err := range repo.Streams(cmd.Context(), filter) {
					if err != nil {
						return err
					}
					if err := addStream(list, head); err != nil {
						return err
					}
				}
				return list.Flush()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&tenant, "tenant", "", "streams of this tenant")
	f.StringVar(&filter.Category, "category", "", "streams of this category: order for order-1")
	f.IntVar(&partition, "partition", 0, "streams of this partition (default: all)")
	f.StringVar(&after, "after", "", "leave out ids up to this one: the last of a page gives the next page")
	f.IntVar(&filter.Limit, "limit", 0, "end after so many streams (default: no limit)")
	return cmd
}

func addStream(list *output.List, head eventstream.StreamHead) error {
	row := streamRow{
		StreamID: head.StreamID, TenantID: head.TenantID, PartitionID: head.Partition.ID, CurrentVersion: head.CurrentVersion,
		Watermark: head.Watermark, LastPosition: head.LastPosition, CreatedAt: head.CreatedAt, UpdatedAt: head.UpdatedAt,
	}
	return list.Add(row, string(row.StreamID), string(row.TenantID), output.Int(row.PartitionID), output.Int(row.CurrentVersion),
		output.Int(row.Watermark), output.Int(row.LastPosition), output.Time(row.UpdatedAt))
}
