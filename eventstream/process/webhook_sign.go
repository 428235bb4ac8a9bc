package process

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesspg/gapless/internal/invalid"
)

const (
	secretPrefix    = "whsec_"
	signaturePrefix = "v1,"
	leastSecret     = 24
	longestSecret   = 64

	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

var (
	// ErrSignature says that a request is not signed with a secret that the receiver knows, or that it was changed on its way.
	ErrSignature = errors.New("webhook signature does not fit: check the secret on both sides, and that the body is verified as it came")
	// ErrTimestamp says that a request is signed, but too long ago, or for a time that is still to come: somebody may have recorded it.
	ErrTimestamp = errors.New("webhook timestamp is too far from now: check the clocks on both sides")
)

// NewWebhookSecret draws a secret, of 32 bytes.
func NewWebhookSecret() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

func parseSecrets(texts []string) ([][]byte, error) {
	secrets := make([][]byte, 0, len(texts))
	for _, text := range texts {
		encoded, found := strings.CutPrefix(text, secretPrefix)
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if !found || err != nil || len(secret) < leastSecret || len(secret) > longestSecret {
			return nil, invalid.Value("webhook secret", "(not shown)", "whsec_ and then base64 of 24 to 64 bytes: NewWebhookSecret draws one")
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// signature is HMAC-SHA256 over the id, the time in seconds and the body, with points between them.
func signature(secret []byte, id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// sign sets the headers that say whose request it is: a signature for each secret, with spaces between them.
func (w *Webhook) sign(header http.Header, id string, now time.Time, body []byte) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(w.secrets))
	for i, secret := range w.secrets {
		signatures[i] = signaturePrefix + base64.StdEncoding.EncodeToString(signature(secret, id, timestamp, body))
	}
	header.Set(headerID, id)
	header.Set(headerTimestamp, timestamp)
	header.Set(headerSignature, strings.Join(signatures, " "))
}

// WebhookVerifier is for receivers: it tells whether a request comes from who knows the secret, unchanged and lately. It knows nothing of what
// came before: an event that comes again within that time is verified again, and its id tells.
type WebhookVerifier struct {
	secrets [][]byte
	// Tolerance is how far the time of a request may be from now. Default: 5 min.
	Tolerance time.Duration
	// MaxBody is the largest body that Request reads, in bytes. Default: 1 MiB.
	MaxBody int64
	now     func() time.Time
}

// NewWebhookVerifier returns a verifier that takes each of these secrets, so that they can be changed one side after the other.
func NewWebhookVerifier(secrets ...string) (*WebhookVerifier, error) {
	if len(secrets) == 0 {
		return nil, invalid.Value("webhook secrets", "none", "one or more")
	}
	parsed, err := parseSecrets(secrets)
	if err != nil {
		return nil, err
	}
	return &WebhookVerifier{secrets: parsed, Tolerance: 5 * time.Minute, MaxBody: 1 << 20, now: time.Now}, nil
}

// Request reads the body of a request and verifies it. It returns the body and the id of the event, by which one that comes again is
// known; or an error that matches ErrSignature or ErrTimestamp, or one of reading, as of a body that is too large.
func (v *WebhookVerifier) Request(r *http.Request) (body []byte, id string, err error) {
	body, err = io.ReadAll(io.LimitReader(r.Body, v.MaxBody+1))
	if err != nil {
		return nil, "", err
	}
	if int64(len(body)) > v.MaxBody {
		return nil, "", invalid.Value("webhook body", "more than that", fmt.Sprintf("at most %d bytes (MaxBody)", v.MaxBody))
	}
	id, err = v.Verify(r.Header, body)
	if err != nil {
		return nil, "", err
	}
	return body, id, nil
}

// Verify verifies a body as it came, byte by byte, with the headers that it came with, and returns the id of the event.
func (v *WebhookVerifier) Verify(header http.Header, body []byte) (id string, err error) {
	id, timestamp := header.Get(headerID), header.Get(headerTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil || !v.signed(header.Get(headerSignature), id, timestamp, body) {
		return "", ErrSignature
	}
	if age := v.now().Sub(time.Unix(seconds, 0)); age > v.Tolerance || age < -v.Tolerance {
		return "", fmt.Errorf("%w: %d is %s ago", ErrTimestamp, seconds, age.Round(time.Second))
	}
	return id, nil
}

// signed reports whether one of the signatures is by one of the secrets. Those of other versions are passed over.
func (v *WebhookVerifier) signed(signatures, id, timestamp string, body []byte) bool {
	for _, text := range strings.Fields(signatures) {
		encoded, found := strings.CutPrefix(text, signaturePrefix)
		given, err := base64.StdEncoding.DecodeString(encoded)
		if !found || err != nil {
			continue
		}
		for _, secret := range v.secrets {
			if hmac.Equal(given, signature(secret, id, timestamp, body)) {
				return true
			}
		}
	}
	return false
}
