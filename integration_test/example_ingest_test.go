package integration_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

// A device sends its readings over a network that delivers them late and out of order. Readers see no hole.
func outOfOrder(ctx context.Context, pool *pgxpool.Pool) error {
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	for _, version := range []int64{1, 3, 2, 3} {
		event, err := reading(version)
		if err != nil {
			return err
		}
		result, err := repo.Ingest(ctx, "device-7", event)
		if err != nil {
			return err
		}
		fmt.Printf("version %d: %d appended, %d waiting, %d repeated; readers see up to %d\n",
			version, result.Appended, result.Pending, result.Duplicates, result.Watermark)
	}
	return nil
}

// reading makes the event of a version; delivered twice, it is the same event, by its id.
func reading(version int64) (eventstream.Event, error) {
	id := [16]byte{15: byte(version)}
	event, err := eventstream.NewEvent("reading.taken", map[string]any{"number": version}, eventstream.WithEventID(id))
	event.Version = version
	return event, err
}

func Example_ingest() {
	runExample(outOfOrder)
	// Output:
	// version 1: 1 appended, 0 waiting, 0 repeated; readers see up to 1
	// version 3: 0 appended, 1 waiting, 0 repeated; readers see up to 1
	// version 2: 2 appended, 0 waiting, 0 repeated; readers see up to 3
	// version 3: 0 appended, 0 waiting, 1 repeated; readers see up to 3
}
