package command

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

// maxPartitions is how many a store may have.
const maxPartitions = 32768

// appendFlags describe an event.
type appendFlags struct {
	expect, id, tenant, metadata, dataFile, occurredAt string
	partition                                          int
}

func (a *app) appendCommand() *cobra.Command {
	var flags appendFlags
	cmd := &cobra.Command{
		Use: "append STREAM TYPE [PAYLOAD|-]", Short: "Append an event to a stream", Args: needs(2, 3),
		Long: `Appends an event to a stream, and creates the stream with its first one. PAYLOAD is JSON, - reads it from standard input, and without
it the payload is null. Bytes that are not JSON come from a file, with --data.

--expect says what the stream must look like: any (the default), exists, empty, or its version. With --id the same command can be
repeated after a failure: an event that is there already is a duplicate, and changes nothing.`,
		Example: `  gapless append order-1 order.placed '{"total": 42}' --expect empty
  gapless append order-1 order.paid '{"by": "card"}' --expect 1
  gapless append scan-7 page.scanned --data page.tiff --metadata '{"user": "ada"}'
  jq -c .order order.json | gapless append order-2 order.placed -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := a.appendRequest(cmd.Context(), args, &flags)
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(_ *pgxpool.Pool, repo *eventstream.Repository) error {
				results, err := repo.AppendMany(cmd.Context(), request)
				if err != nil {
					return single(err)
				}
				return a.printAppend(request, results[0])
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.expect, "expect", "any", "what the stream must look like: any, exists, empty, or its version")
	f.StringVar(&flags.id, "id", "", "id of the event, a UUID (default: a new one)")
	f.StringVar(&flags.tenant, "tenant", "", "tenant of the event (default: that of the stream, or default)")
	f.StringVar(&flags.metadata, "metadata", "", "metadata, a JSON object (default {})")
	f.StringVar(&flags.dataFile, "data", "", "file whose bytes are the event's data")
	f.StringVar(&flags.occurredAt, "occurred-at", "", "when it happened, as 2026-01-31T12:00:00Z (default: now)")
	f.IntVar(&flags.partition, "partition", -1, "partition of a new stream (default: by its id)")
	return cmd
}

// single takes the one refusal out of a batch of one.
func single(err error) error {
	if batch, ok := errors.AsType[*eventstream.BatchError](err); ok && len(batch.Refused) == 1 {
		return batch.Refused[0].Err
	}
	return err
}

func (a *app) appendRequest(ctx context.Context, args []string, flags *appendFlags) (eventstream.AppendRequest, error) {
	request := eventstream.AppendRequest{StreamID: eventstream.StreamID(args[0])}
	var err error
	if request.Expected, err = parseExpected(flags.expect); err != nil {
		return request, err
	}
	event, err := a.newEvent(ctx, args[1], args[2:], flags)
	if err != nil {
		return request, err
	}
	request.Events = []eventstream.Event{event}
	if flags.partition >= 0 {
		// The store knows how many it has, and refuses one too many.
		request.Partition = &eventstream.PartitionKey{ID: flags.partition, Count: maxPartitions}
	}
	return request, request.StreamID.Validate()
}

func (a *app) newEvent(ctx context.Context, eventType string, payload []string, flags *appendFlags) (eventstream.Event, error) {
	options, err := eventOptions(flags)
	if err != nil {
		return eventstream.Event{}, err
	}
	if len(payload) == 0 {
		return eventstream.NewEvent(eventType, nil, options...)
	}
	text := []byte(payload[0])
	if payload[0] == "-" {
		if text, err = io.ReadAll(a.input(ctx)); err != nil {
			return eventstream.Event{}, err
		}
	}
	return eventstream.NewEvent(eventType, json.RawMessage(text), options...)
}

func eventOptions(flags *appendFlags) (options []eventstream.EventOption, err error) {
	if flags.id != "" {
		id, err := uuid.Parse(flags.id)
		if err != nil {
			return nil, usagef("--id %q is no UUID: %w", flags.id, err)
		}
		options = append(options, eventstream.WithEventID(id))
	}
	if flags.tenant != "" {
		options = append(options, eventstream.WithTenant(flags.tenant))
	}
	if flags.metadata != "" {
		options = append(options, eventstream.WithMetadata(json.RawMessage(flags.metadata)))
	}
	if flags.dataFile != "" {
		data, err := os.ReadFile(flags.dataFile)
		if err != nil {
			return nil, usageError{err}
		}
		options = append(options, eventstream.WithData(data))
	}
	if flags.occurredAt != "" {
		at, err := time.Parse(time.RFC3339Nano, flags.occurredAt)
		if err != nil {
			return nil, usagef("--occurred-at %q is no time: give it as 2026-01-31T12:00:00Z", flags.occurredAt)
		}
		options = append(options, eventstream.WithOccurredAt(at))
	}
	return options, nil
}

func parseExpected(text string) (eventstream.Expected, error) {
	switch text {
	case "any":
		return eventstream.Any, nil
	case "exists":
		return eventstream.Exists, nil
	case "empty":
		return eventstream.Empty, nil
	}
	version, err := strconv.ParseInt(text, 10, 64)
	if err != nil || version < 0 {
		return nil, usagef("--expect %q: must be any, exists, empty, or a version", text)
	}
	return eventstream.Exact(version), nil
}

// appended is an append as --json has it.
type appended struct {
	StreamID       eventstream.StreamID `json:"stream_id"`
	Version        int64                `json:"version"`
	Position       int64                `json:"position"`
	CurrentVersion int64                `json:"current_version"`
	EventID        uuid.UUID            `json:"event_id"`
	Duplicate      bool                 `json:"duplicate"`
}

func (a *app) printAppend(request eventstream.AppendRequest, result eventstream.AppendResult) error {
	row := appended{
		StreamID: request.StreamID, Version: result.LastVersion, Position: result.LastPosition, CurrentVersion: result.CurrentVersion,
		EventID: request.Events[0].ID, Duplicate: result.Duplicate,
	}
	return a.out.Record(row, [2]string{"stream", string(row.StreamID)}, [2]string{"version", output.Int(row.Version)},
		[2]string{"position", output.Int(row.Position)}, [2]string{"event id", row.EventID.String()},
		[2]string{"duplicate", strconv.FormatBool(row.Duplicate)})
}
