package binding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"golang.org/x/sync/semaphore"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// Limits of requests with events.
type Limits struct {
	// BodyBytes is how many bytes of requests may be in the process at once.
	BodyBytes int64 `env:"BODY_BYTES" envDefault:"134217728"`
	// MaxBodyBytes is the limit of one request.
	MaxBodyBytes int64 `env:"MAX_BODY_BYTES" envDefault:"8388608"`
	// MaxEventBytes is the limit of one event.
	MaxEventBytes int `env:"MAX_EVENT_BYTES" envDefault:"1048576"`
}

// Validate names everything that is out of range.
func (l Limits) Validate() error {
	var wrong []error
	for _, v := range []struct {
		name       string
		value, min int64
	}{
		{"MAX_EVENT_BYTES", int64(l.MaxEventBytes), 1},
		{"MAX_BODY_BYTES", l.MaxBodyBytes, int64(l.MaxEventBytes)},
		{"BODY_BYTES", l.BodyBytes, l.MaxBodyBytes},
	} {
		if v.value < v.min {
			wrong = append(wrong, fmt.Errorf("%s is %d, want at least %d", v.name, v.value, v.min))
		}
	}
	return errors.Join(wrong...)
}

// MaxEvents is the limit of events in one request.
const MaxEvents = 10_000

// Reader reads requests. It is safe for concurrent use.
type Reader struct {
	limits Limits
	room   *semaphore.Weighted // bytes of requests in the process
}

// NewReader makes a Reader.
func NewReader(l Limits) *Reader {
	return &Reader{limits: l, room: semaphore.NewWeighted(l.BodyBytes)}
}

// Events reads the events of a request. They share memory with its body, whose
// room is taken until release is called. Where there is none it waits until ctx
// ends.
func (rd *Reader) Events(ctx context.Context, w http.ResponseWriter, r *http.Request) (events []event.Received, release func(), err error) {
	body, release, err := rd.Body(ctx, w, r)
	if err != nil {
		return nil, nil, err
	}
	if events, err = parse(r, body); err == nil {
		err = rd.checkSizes(events)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return events, release, nil
}

// Body reads the body of a request, with room as for Events.
func (rd *Reader) Body(ctx context.Context, w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, nil, fault.New(fault.WrongMedia, "content encoding %q is not supported", encoding)
	}
	size := r.ContentLength
	if size > rd.limits.MaxBodyBytes {
		return nil, nil, rd.TooLarge()
	}
	if size < 0 {
		size = rd.limits.MaxBodyBytes
	}
	if err := rd.room.Acquire(ctx, size); err != nil {
		return nil, nil, fault.New(fault.Overloaded, "no room for a request of %d bytes", size)
	}
	release = func() { rd.room.Release(size) }
	if body, err = rd.read(w, r); err != nil {
		release()
		return nil, nil, err
	}
	return body, release, nil
}

// TooLarge is the error for what is over a limit; it names them all.
func (rd *Reader) TooLarge() error {
	return fault.New(fault.TooLarge, "a request may have %d bytes and %d events, an event %d bytes",
		rd.limits.MaxBodyBytes, MaxEvents, rd.limits.MaxEventBytes)
}

func (rd *Reader) read(w http.ResponseWriter, r *http.Request) (body []byte, err error) {
	limited := http.MaxBytesReader(w, r.Body, rd.limits.MaxBodyBytes)
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, rd.TooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fault.New(fault.TooSlow, "the body did not come in time")
	}
	if err != nil {
		return nil, fault.New(fault.Unreadable, "the body ended early")
	}
	return body, nil
}

func (rd *Reader) checkSizes(events []event.Received) error {
	for _, e := range events {
		if len(e.Raw) > rd.limits.MaxEventBytes {
			return rd.TooLarge()
		}
	}
	return nil
}
