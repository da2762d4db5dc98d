package binding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// Limits of requests with events.
type Limits struct {
	// BodyBytes is how many bytes of requests may be in the process at once; those of
	// up to 4 KiB are not counted.
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
	room   *room
}

// NewReader makes a Reader.
func NewReader(l Limits) *Reader {
	return &Reader{limits: l, room: newRoom(l.BodyBytes, l.MaxBodyBytes)}
}

// Events reads the events of a request. They share memory with its body, whose
// room is taken until release is called. Where there is none it waits for half of
// the time that ctx has left.
func (rd *Reader) Events(ctx context.Context, w http.ResponseWriter, r *http.Request) (events []event.Received, release func(), err error) {
	body, release, err := rd.Body(ctx, w, r)
	if err != nil {
		return nil, nil, err
	}
	if events, err = rd.Parse(r, body); err == nil {
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
	if err := checkEncoding(r); err != nil {
		return nil, nil, err
	}
	if r.ContentLength > rd.limits.MaxBodyBytes {
		return nil, nil, rd.TooLarge()
	}
	s := &share{}
	release = func() { rd.room.give(s) }
	if body, err = rd.read(ctx, s, http.MaxBytesReader(w, r.Body, rd.limits.MaxBodyBytes), r.ContentLength); err != nil {
		release()
		return nil, nil, err
	}
	return body, release, nil
}

// Whole reads a body whatever it is, with room as for Events. What is over
// MaxBodyBytes it throws away; size is how much came.
func (rd *Reader) Whole(ctx context.Context, r *http.Request) (body []byte, size int64, release func(), err error) {
	s := &share{}
	most := rd.limits.MaxBodyBytes
	var rest int64
	if body, err = rd.read(ctx, s, io.LimitReader(r.Body, most), min(r.ContentLength, most)); err == nil {
		if rest, err = io.Copy(io.Discard, r.Body); err != nil {
			err = rd.unread(err)
		}
	}
	if err != nil {
		rd.room.give(s)
		return nil, 0, nil, err
	}
	return body, int64(len(body)) + rest, func() { rd.room.give(s) }, nil
}

// TooLarge is the error for what is over a limit; it names them all.
func (rd *Reader) TooLarge() error {
	return fault.New(fault.TooLarge, "a request may have %d bytes and %d events, an event %d bytes",
		rd.limits.MaxBodyBytes, MaxEvents, rd.limits.MaxEventBytes)
}

func (rd *Reader) checkSizes(events []event.Received) error {
	for _, e := range events {
		if len(e.Raw) > rd.limits.MaxEventBytes {
			return rd.TooLarge()
		}
	}
	return nil
}
