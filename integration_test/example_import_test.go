package integration_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

// exportedEvents is what another system wrote of its events, one a line. They keep their ids, versions and times.
const exportedEvents = `
{"event_id": "00000000-0000-4000-8000-000000000001", "stream_id": "account-1", "version": 1, "type": "account.opened", "payload": {}, "occurred_at": "2019-05-01T10:00:00Z"}
{"event_id": "00000000-0000-4000-8000-000000000002", "stream_id": "account-2", "version": 1, "type": "account.opened", "payload": {}, "occurred_at": "2019-05-01T11:30:00Z"}
{"event_id": "00000000-0000-4000-8000-000000000003", "stream_id": "account-1", "version": 2, "type": "money.deposited", "payload": {"amount": 50}, "occurred_at": "2019-05-02T09:15:00Z"}
`

// exported reads events, one a line, as they are asked for: a file of any size takes no more memory than a line.
func exported(file io.Reader) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if len(lines.Bytes()) == 0 {
				continue
			}
			var event eventstream.Event
			err := json.Unmarshal(lines.Bytes(), &event)
			if !yield(event, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(eventstream.Event{}, err)
		}
	}
}

// The history of another system is taken over. The first file ends in the middle of a line; the second is whole, and imports what the
// first one could not.
func takeOver(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	torn := exportedEvents[:len(exportedEvents)-40]
	result, err := repo.Import(ctx, exported(strings.NewReader(torn)))
	fmt.Printf("torn file: %d imported, failed: %t\n", result.Imported, err != nil)

	for range 2 {
		result, err = repo.Import(ctx, exported(strings.NewReader(exportedEvents)))
		if err != nil {
			return err
		}
		fmt.Printf("whole file: %d imported, %d were there\n", result.Imported, result.Skipped)
	}
	for event, err := range repo.Read(ctx, "account-1", eventstream.ReadOptions{}) {
		if err != nil {
			return err
		}
		fmt.Println(event.Version, event.Type, event.OccurredAt.Format("2006-01-02"))
	}

	// An event of another source for a version that is taken is not believed.
	other, err := eventstream.NewEvent("money.withdrawn", map[string]int{"amount": 50})
	if err != nil {
		return err
	}
	other.StreamID, other.Version = "account-1", 2
	_, err = repo.Import(ctx, func(yield func(eventstream.Event, error) bool) { yield(other, nil) })
	var refused *eventstream.ImportError
	if errors.As(err, &refused) {
		fmt.Printf("event %d, version %d of %s: conflict: %t\n",
			refused.Index, refused.Version, refused.StreamID, errors.Is(err, eventstream.ErrVersionConflict))
	}
	return nil
}

func Example_import() {
	runExample(takeOver)
	// Output:
	// torn file: 0 imported, failed: true
	// whole file: 3 imported, 0 were there
	// whole file: 0 imported, 3 were there
	// 1 account.opened 2019-05-01
	// 2 money.deposited 2019-05-02
	// event 0, version 2 of account-1: conflict: true
}
