package subscription

import (
	"errors"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/readbudget"
)

// core is a repository from inside.
type core = access.Core[eventstream.LogEvent, eventstream.LogFilter, eventstream.Start]

// logPages goes through the log page by page.
type logPages = access.Pages[eventstream.LogEvent]

// coreOf is a repository from inside, or an error for nil.
func coreOf(repo *eventstream.Repository) (core, error) {
	if repo == nil {
		return nil, invalid.Value("repository", "nil", "made by NewRepository")
	}
	return access.Of[eventstream.LogEvent, eventstream.LogFilter, eventstream.Start](repo), nil
}

// bytesOf is what events take in memory.
func bytesOf(events []eventstream.LogEvent) int64 {
	bytes := int64(0)
	for i := range events {
		e := &events[i]
		bytes += int64(readbudget.EventOverhead + len(e.Payload) + len(e.Data) + len(e.Metadata))
	}
	return bytes
}

// asUnreadable returns the error as what it is, nil for any other.
func asUnreadable(err error) *eventstream.UnreadableEventError {
	unreadable, _ := errors.AsType[*eventstream.UnreadableEventError](err)
	return unreadable
}
