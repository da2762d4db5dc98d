package binding

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/millrace/millrace/shared/fault"
)

const (
	// firstBytes are read without room, and kept without it if there are no more:
	// as much as the connection takes anyway. So nobody keeps small requests out.
	firstBytes = 4 << 10
	// growth is by how much a buffer grows that is full. So a sender holds at
	// most this many times what it has sent.
	growth = 4
)

// read reads a body to its end; declared is its length, or negative. It takes
// room as bytes come: what a header says costs its sender nothing.
func (rd *Reader) read(ctx context.Context, s *share, from io.Reader, declared int64) (body []byte, err error) {
	ctx, enough := Waiting(ctx)
	defer enough()
	most := rd.limits.MaxBodyBytes
	if declared >= 0 {
		most = declared
	}
	body = make([]byte, 0, min(firstBytes, most))
	for int64(len(body)) != declared && err == nil {
		if len(body) == cap(body) {
			body, err = rd.grow(ctx, s, from, body, most)
			continue
		}
		var n int
		n, err = from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
	}
	if whole := int64(len(body)) == declared || declared < 0 && errors.Is(err, io.EOF); !whole {
		return nil, rd.unread(err)
	}
	if len(body) <= firstBytes {
		return body, nil
	}
	return body, rd.takeRoom(ctx, s, int64(len(body)))
}

// grow makes a full buffer larger, if there is another byte; io.EOF says that
// there is none.
func (rd *Reader) grow(ctx context.Context, s *share, from io.Reader, body []byte, most int64) ([]byte, error) {
	var next [1]byte
	if _, err := io.ReadFull(from, next[:]); err != nil {
		return body, err
	}
	size := min(growth*int64(cap(body)), most)
	if err := rd.takeRoom(ctx, s, size); err != nil {
		return body, err
	}
	larger := make([]byte, len(body)+1, size)
	larger[copy(larger, body)] = next[0]
	return larger, nil
}

// takeRoom makes a share hold so much.
func (rd *Reader) takeRoom(ctx context.Context, s *share, bytes int64) error {
	if err := rd.room.take(ctx, s, bytes-s.held); err != nil {
		return fault.New(fault.Overloaded, "no room for a request of %d bytes", bytes)
	}
	return nil
}

// unread says why a body was not read to its end.
func (rd *Reader) unread(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return rd.TooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.TooSlow, "the body did not come in time")
	}
	return fault.New(fault.Unreadable, "the body ended early")
}
