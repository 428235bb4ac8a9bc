package process

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verdict is what an answer to a webhook means.
type Verdict int

const (
	// Failed is a failure that may be the event's fault: it is tried again, and parked after its tries, or the subscription stops.
	Failed Verdict = iota
	// Accepted means that the receiver has the event, now or already.
	Accepted
	// Unavailable says nothing of the event: it comes again after the pause that the header Retry-After asks for, or the usual one, as often
	// as need be.
	Unavailable
	// Refused says that the receiver will never take this event: it is parked, or the subscription stops, at once.
	Refused
)

// JudgeStatus is what a status code means, unless WebhookConfig.Judge says otherwise. Accepted are 200 to 299. Refused are codes
// that are about the event: 400, 406, 409, 411, 413, 414, 415, 422, 431. Unavailable are those about the receiver, or the way to it, which
// somebody repairs while the events wait: 300 to 399, 401 to 405, 407, 408, 410, 421, 425, 426, 429, 451, 502 to 504, 511. Failed
// are all others, 500 among them.
func JudgeStatus(code int) Verdict {
	switch code {
	case http.StatusBadRequest, http.StatusNotAcceptable, http.StatusConflict, http.StatusLengthRequired, http.StatusRequestEntityTooLarge,
		http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
		http.StatusRequestHeaderFieldsTooLarge:
		return Refused
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusGone, http.StatusMisdirectedRequest, http.StatusTooEarly,
		http.StatusUpgradeRequired, http.StatusTooManyRequests, http.StatusUnavailableForLegalReasons, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusNetworkAuthenticationRequired:
		return Unavailable
	}
	switch {
	case code >= 200 && code <= 299:
		return Accepted
	case code >= 300 && code <= 399:
		return Unavailable
	}
	return Failed
}

// retryAfter is the pause that an answer asks for, in seconds or until a time, by the receiver's own clock where it says what that is; 0 if it
// does not, or not in a way that can be read.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(until.Sub(now), 0)
}
