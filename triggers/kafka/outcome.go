package kafka

import (
	"net/http"
	"time"
)

// verdict is what the trigger makes of a response.
type verdict int

const (
	retry     verdict = iota // nothing was taken, or nobody knows: send it again
	delivered                // every event is in the effects, parked or a dead letter
	refused                  // these bytes will never be taken as they are
)

// outcome is the result of one attempt.
type outcome struct {
	verdict verdict
	status  int // 0: no response
	data    []byte
	after   time.Duration // the least pause before the next attempt
	err     error
	// suspect: the batch itself may be what makes the sink fail (too slow, or a
	// crash), unlike a sink that is away or says that it is overloaded.
	suspect bool
}

// judge is the one table from HTTP status to what follows.
//
//	2xx                                     delivered
//	429, 503                                retry: overloaded or not up
//	408, 500, 502, 504, other 5xx           retry; after some the batch is halved
//	401 403 404 409 and what else speaks    retry: the way or the sink is wrong,
//	of the way or the form of requests      no event is to blame; it shows in the
//	(405 407 415 421 423 425 426 428 431),  log and in the retries metric
//	1xx, 3xx
//	400, 413, 422 and the other 4xx         refused: a batch is halved, a single
//	                                        event becomes a dead letter
func judge(status int, after string, data []byte) outcome {
	o := outcome{status: status, data: data}
	switch {
	case status >= 200 && status < 300:
		o.verdict = delivered
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		o.after = retryAfter(after, time.Now())
	case status == http.StatusRequestTimeout, status >= 500:
		o.after = retryAfter(after, time.Now())
		o.suspect = true
	case status >= 400 && !aboutTheWay(status):
		o.verdict = refused
	default:
		o.after = retryAfter(after, time.Now())
	}
	return o
}

func aboutTheWay(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusConflict, http.StatusUnsupportedMediaType,
		http.StatusMisdirectedRequest, http.StatusLocked, http.StatusTooEarly, http.StatusUpgradeRequired,
		http.StatusPreconditionRequired, http.StatusRequestHeaderFieldsTooLarge:
		return true
	}
	return false
}
