// Package fault is the one vocabulary for requests that end without a commit,
// and the one table from each kind to its HTTP status.
//
// Only a whole request fails in this sense. An event that cannot be decided is
// no fault of the request that brought it: it becomes a dead letter, and the
// request succeeds.
package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Kind is a class of failed requests.
type Kind int

// The kinds of failed requests.
const (
	Unavailable     Kind = iota // could not commit in time: the same request may pass later
	TimedOut                    // was still at it at the deadline: the request, or half of it, may pass later
	Overloaded                  // no room in its time to wait: the same request may pass later
	Unreadable                  // the body as a whole cannot be read: it never will
	TooLarge                    // the body is over the limit: its parts may pass
	Unprocessable               // one of its events can be neither decided nor kept: the others may pass
	WrongMedia                  // no CloudEvents content
	WrongMethod                 // not a POST
	Invalid                     // an event of it breaks the contract: it never will pass as it is
	Unauthenticated             // it does not say who sends it, or not so that it can be believed
	Forbidden                   // who sends it may not
	Unknown                     // there is nothing at this address
	Misdirected                 // meant for another host
	TooSlow                     // its body did not come in time: the same request may pass later
)

var kinds = map[Kind]struct {
	label  string
	status int
	retry  bool
}{
	Unavailable:   {"unavailable", http.StatusServiceUnavailable, true},
	TimedOut:      {"timed-out", http.StatusGatewayTimeout, true},
	Overloaded:    {"overloaded", http.StatusTooManyRequests, true},
	Unreadable:    {"unreadable", http.StatusBadRequest, false},
	TooLarge:      {"too-large", http.StatusRequestEntityTooLarge, false},
	Unprocessable: {"unprocessable", http.StatusUnprocessableEntity, false},
	WrongMedia:    {"wrong-media", http.StatusUnsupportedMediaType, false},
	WrongMethod:   {"wrong-method", http.StatusMethodNotAllowed, false},

	Invalid:         {"invalid", http.StatusBadRequest, false},
	Unauthenticated: {"unauthenticated", http.StatusUnauthorized, false},
	Forbidden:       {"forbidden", http.StatusForbidden, false},
	Unknown:         {"unknown", http.StatusNotFound, false},
	Misdirected:     {"misdirected", http.StatusMisdirectedRequest, false},
	TooSlow:         {"too-slow", http.StatusRequestTimeout, true},
}

// String returns the kind's word, fit for a metric label.
func (k Kind) String() string { return kinds[k].label }

// Status returns the kind's HTTP status.
func (k Kind) Status() int { return kinds[k].status }

// Error is a failed request.
type Error struct {
	Kind   Kind
	Detail string
}

func (e *Error) Error() string { return e.Kind.String() + ": " + e.Detail }

// New makes an Error.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of err; an error without one is Unavailable, since
// trying again loses nothing.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unavailable
}

// retryAfter is what a caller is asked to wait, in seconds. It is short: the
// request has already waited for room.
const retryAfter = 1

// Write answers a request with err as problem details (RFC 9457). An error
// without a kind may quote internals, so its text stays out of the answer.
func Write(w http.ResponseWriter, err error) {
	kind, detail := KindOf(err), "try again later"
	if e, ok := errors.AsType[*Error](err); ok {
		detail = e.Detail
	}
	body, _ := json.Marshal(struct { //nolint:errchkjson // strings and a number
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{kind.String(), kind.Status(), detail})
	w.Header().Set("Content-Type", "application/problem+json")
	if kinds[kind].retry {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(kind.Status())
	_, _ = w.Write(append(body, '\n')) // the caller may be gone
}
