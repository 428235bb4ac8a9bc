package process

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// core is a repository from inside.
type core = access.Core[eventstream.LogEvent, eventstream.LogFilter, eventstream.Start]

// coreOf is a repository from inside, or an error for nil.
func coreOf(repo *eventstream.Repository) (core, error) {
	if repo == nil {
		return nil, invalid.Value("repository", "nil", "made by NewRepository")
	}
	c := access.Of[eventstream.LogEvent, eventstream.LogFilter, eventstream.Start](repo)
	if c.Tenant() != "" {
		return nil, invalid.Value("repository", "for tenant "+c.Tenant(), "for all tenants: what processes know and timers are not one tenant's")
	}
	return c, nil
}

// coreOnPool is coreOf a repository that can begin transactions of its own.
func coreOnPool(repo *eventstream.Repository) (core, error) {
	c, err := coreOf(repo)
	if err != nil && repo != nil {
		return nil, err
	}
	if err != nil || c.Pool() == nil {
		return nil, invalid.Value("repository", "not on a pool", "made by NewRepository on a *pgxpool.Pool: it begins transactions of its own")
	}
	return c, nil
}

// interval is a duration as PostgreSQL takes it; it keeps microseconds.
func interval(d time.Duration) pgtype.Interval {
	return pgtype.Interval{Microseconds: d.Microseconds(), Valid: true}
}

// marshal is a value as JSON: as encoding/json does it, or as it is in a json.RawMessage.
func marshal(field string, value any) (json.RawMessage, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, invalid.Value(field, err.Error(), "a value that encoding/json can marshal")
	}
	return text, nil
}

// storable is an error's text as a column can hold it.
func storable(err error) string {
	const longest = 8 << 10
	text := err.Error()
	if len(text) > longest {
		text = text[:longest]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
}

// explain is an error of the database as one of package eventstream, where there is one. What a handler returned stays as it is.
func explain(c core, err error) error {
	var own *handlerError
	if err == nil || errors.As(err, &own) {
		return err
	}
	return c.Explain(err)
}
