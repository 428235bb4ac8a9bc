package natsjs

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Headers of a message, beside Nats-Msg-Id.
const (
	// HeaderStream, HeaderVersion and HeaderType are the event's stream, its version there, and its type.
	HeaderStream  = "Gapless-Stream"
	HeaderVersion = "Gapless-Version"
	HeaderType    = "Gapless-Type"
)

const defaultTimeout = 5 * time.Second

// Config adjusts a Publisher. Nil and the zero value mean the defaults.
type Config struct {
	// Subject says which subject an event is published to; a stream of JetStream must take it. Default: nil, which means SubjectOf.
	Subject func(event eventstream.LogEvent) string
	// Timeout is how long JetStream may take to store a message. Default: 5 s.
	Timeout time.Duration
}

// SubjectOf is events., the event's category and its type: events.order.order.placed. What may not stand in a subject is an underscore.
func SubjectOf(event eventstream.LogEvent) string {
	category, _, _ := strings.Cut(string(event.StreamID), "-")
	return "events." + token(strings.ReplaceAll(category, ".", "_")) + "." + strings.Trim(token(string(event.Type)), ".")
}

func token(text string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '*' || r == '>' || r == 0x7f {
			return '_'
		}
		return r
	}, text)
}

// Publisher publishes events to JetStream.
type Publisher struct {
	js     jetstream.JetStream
	config Config
}

var _ process.Publisher = (*Publisher)(nil)

// New returns a publisher on a connection, which the caller opens and closes.
func New(conn *nats.Conn, config *Config) (*Publisher, error) {
	if conn == nil {
		return nil, &eventstream.InvalidValueError{Field: "connection", Value: "nil", Rule: "made by nats.Connect"}
	}
	p := &Publisher{}
	if config != nil {
		p.config = *config
	}
	if p.config.Subject == nil {
		p.config.Subject = SubjectOf
	}
	if p.config.Timeout == 0 {
		p.config.Timeout = defaultTimeout
	}
	if p.config.Timeout < 0 {
		return nil, &eventstream.InvalidValueError{Field: "natsjs.Config.Timeout", Value: p.config.Timeout.String(), Rule: "0s or more; 0 means 5s"}
	}
	var err error
	p.js, err = jetstream.New(conn)
	return p, err
}

// Publish publishes the events one after the other, until one is not stored. A message that is too large is refused for good; a server that is
// away, or has no stream for the subject, says nothing against the event.
func (p *Publisher) Publish(ctx context.Context, events []eventstream.LogEvent) (accepted int, err error) {
	for i := range events {
		if err := ctx.Err(); err != nil {
			return i, err
		}
		if err := p.publish(ctx, events[i]); err != nil {
			return i, judged(err)
		}
	}
	return len(events), nil
}

func (p *Publisher) publish(ctx context.Context, event eventstream.LogEvent) error {
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	message := nats.NewMsg(p.config.Subject(event))
	message.Data = body
	message.Header.Set(HeaderStream, string(event.StreamID))
	message.Header.Set(HeaderVersion, strconv.FormatInt(event.Version, 10))
	message.Header.Set(HeaderType, string(event.Type))
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	// The client tries again by itself while no stream answers; the subscription does that better, since it pauses.
	_, err = p.js.PublishMsg(ctx, message, jetstream.WithMsgID(event.ID.String()), jetstream.WithRetryAttempts(0))
	return err
}

// judged says what an error means for the event.
func judged(err error) error {
	var refused *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return subscription.Permanent(err)
	case errors.As(err, &refused) && refused.Code < 500:
		return err
	}
	return subscription.RetryAfter(err, 0)
}
