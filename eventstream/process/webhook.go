package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/shown"
	"github.com/gaplesspg/gapless/internal/unset"
)

const (
	defaultWebhookTimeout = 30 * time.Second
	defaultMaxRetryAfter  = time.Hour
	// answerRead is how much of an answer is read, so that the connection can be used again.
	answerRead = 64 << 10
)

// WebhookConfig adjusts a Webhook. Nil and the zero value mean the defaults.
type WebhookConfig struct {
	// OldSecrets sign too, beside the secret, while receivers change from one to the other. Default: none.
	OldSecrets []string
	// Client makes the requests, whatever its CheckRedirect says: redirects are not followed. Default: one with a timeout of 30 s.
	Client *http.Client
	// Judge says what an answer means. Default: JudgeStatus of its status code.
	Judge func(answer *http.Response) Verdict
	// MaxRetryAfter is the longest pause that a receiver can ask for by the header Retry-After, from 1 s. Default: 1 h.
	MaxRetryAfter time.Duration
	// Header is sent with each request, as for an Authorization. Default: none.
	Header http.Header
}

// Webhook posts each event to a URL, signed, one at a time: a Publisher. The body is the event as encoding/json writes a
// LogEvent. The signature is that of Standard Webhooks (https://www.standardwebhooks.com), for which there are libraries in many languages:
// receivers in Go use a WebhookVerifier.
//
// The headers are webhook-id, the id of the event, by which a receiver knows one that comes again; webhook-timestamp, the time of the request
// in seconds since 1970; and webhook-signature.
type Webhook struct {
	url     string
	secrets [][]byte
	client  http.Client
	config  WebhookConfig
}

// NewWebhook returns a publisher that posts to a URL, with a secret that it shares with the receiver: one of NewWebhookSecret, or what else
// begins with whsec_ and goes on with base64 of 24 to 64 bytes. It returns an *InvalidValueError for a URL that is not absolute, with http or
// https, and for a secret or config out of bounds.
func NewWebhook(to, secret string, config *WebhookConfig) (*Webhook, error) {
	parsed, err := url.Parse(to)
	if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return nil, invalid.Value("URL", to, "absolute, and of scheme https or http")
	}
	w := &Webhook{url: to}
	if config != nil {
		w.config = *config
	}
	if w.secrets, err = parseSecrets(append([]string{secret}, w.config.OldSecrets...)); err != nil {
		return nil, err
	}
	unset.Default(&w.config.MaxRetryAfter, defaultMaxRetryAfter)
	if err := invalid.Duration("process.WebhookConfig.MaxRetryAfter", w.config.MaxRetryAfter, time.Second, invalid.LongestTimeout); err != nil {
		return nil, err
	}
	if w.config.Judge == nil {
		w.config.Judge = func(answer *http.Response) Verdict { return JudgeStatus(answer.StatusCode) }
	}
	w.client = http.Client{Timeout: defaultWebhookTimeout}
	if w.config.Client != nil {
		w.client = *w.config.Client
	}
	// Elsewhere, nobody may know the secret or what to do about the event; and a POST would become a GET.
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w, nil
}

// Publish posts the events one after the other, until one is not accepted.
func (w *Webhook) Publish(ctx context.Context, events []eventstream.LogEvent) (accepted int, err error) {
	for i := range events {
		if err := ctx.Err(); err != nil {
			return i, err
		}
		if err := w.post(ctx, &events[i]); err != nil {
			return i, err
		}
	}
	return len(events), nil
}

// post posts one event. Its error says what it means for the event.
func (w *Webhook) post(ctx context.Context, event *eventstream.LogEvent) error {
	body, err := json.Marshal(event)
	if err != nil {
		return subscription.Permanent(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, values := range w.config.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	request.Header.Set("Content-Type", "application/json")
	w.sign(request.Header, event.ID.String(), time.Now(), body)
	answer, err := w.client.Do(request)
	if err != nil {
		// Nobody is there, or does not answer: that is not the event's fault.
		return subscription.RetryAfter(err, 0)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, answerRead))
	return w.judge(answer, string(text))
}

// judge turns an answer into an error for the subscription.
func (w *Webhook) judge(answer *http.Response, text string) error {
	verdict := w.config.Judge(answer)
	if verdict == Accepted {
		return nil
	}
	err := &WebhookError{URL: w.url, Status: answer.StatusCode, Answer: shown.Short(text)}
	switch verdict {
	case Refused:
		return subscription.Permanent(err)
	case Unavailable:
		return subscription.RetryAfter(err, min(retryAfter(answer.Header, time.Now()), w.config.MaxRetryAfter))
	}
	return err
}

// WebhookError says that a receiver did not accept an event.
type WebhookError struct {
	// URL is where the event was posted to, Status the status code of the answer, and Answer the beginning of its body.
	URL    string
	Status int
	Answer string
}

// Error names the status and what the receiver said.
func (e *WebhookError) Error() string {
	text := http.StatusText(e.Status)
	if text != "" {
		text = " (" + text + ")"
	}
	return fmt.Sprintf("webhook answered %d%s: %q", e.Status, text, e.Answer)
}
