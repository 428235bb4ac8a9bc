package subscription

import (
	"context"
	"errors"
	"log/slog"
)

// SlogObserver writes observations to a logger; nil is slog.Default(), as it is by then. Errors are what stops a run or parks an event;
// warnings what is tried again, what was lost and what is late; the rest is for debugging, but for a rebuild that is done.
func SlogObserver(logger *slog.Logger) Observer {
	return func(o Observation) {
		to := logger
		if to == nil {
			to = slog.Default()
		}
		level, message, attrs := slogRecord(o)
		to.LogAttrs(context.Background(), level, "gapless: "+message, attrs...)
	}
}

func slogRecord(o Observation) (slog.Level, string, []slog.Attr) {
	switch o := o.(type) {
	case BatchHandled:
		return slog.LevelDebug, "batch handled", append(slogShard(o.Subscription, o.Shard), slog.Int("events", o.Events),
			slog.Int("waiting", o.Waiting), slog.Int64("position", o.Position), slog.Duration("took", o.Took))
	case TryFailed:
		return slog.LevelWarn, "handler failed", append(append(slogShard(o.Subscription, o.Shard), slogFailed(o)...),
			slog.Int("tries", o.Tries), slog.Bool("counted", o.Counted), slogError(o.Err))
	case EventParked:
		return slog.LevelError, "event parked", append(append(slogShard(o.Subscription, o.Shard), slogEvent(o.Event)...),
			slog.Int("tries", o.Tries), slogError(o.Err))
	case HandlerLate:
		return slog.LevelWarn, "handler is late", append(slogShard(o.Subscription, o.Shard), slog.Duration("limit", o.Limit),
			slog.Bool("abandoned", o.Abandoned))
	case ShardClaimed:
		return slog.LevelDebug, "shard claimed", append(slogShard(o.Subscription, o.Shard), slog.Int64("epoch", o.Epoch))
	case ShardReleased:
		return slog.LevelDebug, "shard released", append(slogShard(o.Subscription, o.Shard), slog.Int64("epoch", o.Epoch))
	case ShardLost:
		return slog.LevelWarn, "shard lost", append(slogShard(o.Subscription, o.Shard), slog.Int64("epoch", o.Epoch), slogError(o.Err))
	}
	return slogRecordOfRun(o)
}

// slogRecordOfRun is slogRecord for what is about no single shard.
func slogRecordOfRun(o Observation) (slog.Level, string, []slog.Attr) {
	switch o := o.(type) {
	case Interrupted:
		return slog.LevelWarn, "interrupted, trying again", append(slogShard(o.Subscription, o.Shard), slogError(o.Err))
	case RunStopped:
		return slog.LevelError, "subscription stopped", append(slogShard(o.Subscription, -1), slogError(o.Err))
	case RunRestarts:
		return slog.LevelWarn, "subscription restarts", append(slogShard(o.Subscription, -1), slog.Int("restarts", o.Restarts),
			slog.Duration("after", o.After), slogError(o.Err))
	case RunGivenUp:
		return slog.LevelError, "subscription given up", append(slogShard(o.Subscription, -1), slogError(o.Err))
	case RebuildTaken:
		return slog.LevelInfo, "rebuild of a projection begins, as requested", []slog.Attr{
			slog.String("projection", o.Projection), slog.Bool("in_place", o.InPlace), slog.String("by", o.By),
		}
	case RebuildFailed:
		level, message := slog.LevelError, "requested rebuild of a projection failed"
		switch {
		case errors.Is(o.Err, ErrRebuildCanceled):
			level, message = slog.LevelInfo, "requested rebuild of a projection canceled"
		case o.Again:
			level = slog.LevelWarn
		}
		return level, message, []slog.Attr{
			slog.String("projection", o.Projection), slog.Bool("again", o.Again), slogError(o.Err),
		}
	case ProjectionRebuilt:
		return slog.LevelInfo, "projection rebuilt", []slog.Attr{slog.String("projection", o.Projection), slog.Duration("took", o.Took)}
	case ObservationsMissed:
		return slog.LevelWarn, "observer is too slow", append(slogShard(o.Subscription, -1), slog.Int64("missed", o.Count))
	}
	return slog.LevelDebug, "observation", []slog.Attr{slog.Any("observation", o)}
}

func slogShard(subscription string, shard int) []slog.Attr {
	if shard < 0 {
		return []slog.Attr{slog.String("subscription", subscription)}
	}
	return []slog.Attr{slog.String("subscription", subscription), slog.Int("shard", shard)}
}

func slogEvent(e EventRef) []slog.Attr {
	return []slog.Attr{
		slog.String("event_id", e.ID.String()), slog.Int64("position", e.Position), slog.String("stream_id", string(e.StreamID)),
		slog.Int64("version", e.Version), slog.String("type", string(e.Type)),
	}
}

// slogFailed names an event that a handler failed on by itself; of several, no one is to look at fault that may not be.
func slogFailed(o TryFailed) []slog.Attr {
	if o.Events > 1 {
		return []slog.Attr{
			slog.Int("events", o.Events), slog.Int64("from_position", o.First.Position), slog.Int64("to_position", o.Last.Position),
		}
	}
	return append(slogEvent(o.First), slog.Int("events", o.Events))
}

// slogError takes the text at once: some errors hold an event with all that it carries.
func slogError(err error) slog.Attr {
	if err == nil {
		return slog.String("error", "")
	}
	return slog.String("error", err.Error())
}
