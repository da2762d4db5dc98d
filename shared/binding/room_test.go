package binding

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/shared/fault"
)

const largest = 1 << 18

// narrow has room for four requests of the largest size.
func narrow() *Reader {
	return NewReader(Limits{BodyBytes: 4 * largest, MaxBodyBytes: largest, MaxEventBytes: largest})
}

// from makes a request whose body is read from r, of so many bytes as its header
// says; -1: it does not.
func from(ctx context.Context, r io.Reader, declared int64) *http.Request {
	out := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", r)
	out.ContentLength = declared
	return out
}

func (rd *Reader) free() int64 {
	rd.room.mu.Lock()
	defer rd.room.mu.Unlock()
	if rd.room.reserved {
		return rd.room.free
	}
	return rd.room.free + rd.limits.MaxBodyBytes
}

func wantsKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Errorf("got %v, want %v", err, kind)
	}
}

// Who says how much will come, and sends little, holds little: others are read
// meanwhile.
func TestSilentSendersHoldNoRoom(t *testing.T) {
	t.Parallel()
	rd := narrow()
	var silent sync.WaitGroup
	var leave []*io.PipeWriter
	for range 100 {
		in, out := io.Pipe()
		silent.Go(func() {
			_, _, err := rd.Body(t.Context(), httptest.NewRecorder(), from(t.Context(), in, largest))
			wantsKind(t, err, fault.Unreadable)
		})
		if _, err := out.Write(make([]byte, firstBytes-1)); err != nil { // ends when it has been read
			t.Fatal(err)
		}
		leave = append(leave, out)
	}
	if got := rd.free(); got != 4*largest {
		t.Errorf("%d bytes are free", got)
	}
	for _, declared := range []int64{largest, -1} { // the largest size, beside them
		body, release, err := rd.Body(t.Context(), httptest.NewRecorder(), from(t.Context(), bytes.NewReader(make([]byte, largest)), declared))
		if err != nil || len(body) != largest {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
		release()
	}
	for _, out := range leave {
		_ = out.CloseWithError(io.ErrUnexpectedEOF)
	}
	silent.Wait()
}

// trickle gives little at a time, so that many requests are half read at once.
type trickle struct{ io.Reader }

func (r trickle) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(len(b), 1000)]) }

// Requests that are half read when the room is full do not wait for each other
// for ever, and together never hold more than there is.
func TestFullRoomIsNoDeadlock(t *testing.T) {
	t.Parallel()
	rd := narrow()
	var sent sync.WaitGroup
	for n := range 64 {
		declared := int64(largest)
		if n%2 == 1 {
			declared = -1
		}
		sent.Go(func() {
			content := bytes.Repeat([]byte{byte(n)}, largest)
			body, release, err := rd.Body(t.Context(), httptest.NewRecorder(), from(t.Context(), trickle{bytes.NewReader(content)}, declared))
			if err != nil || !bytes.Equal(body, content) {
				t.Errorf("%d bytes, %v", len(body), err)
				return
			}
			if free := rd.free(); free < 0 {
				t.Errorf("%d bytes are free", free)
			}
			release()
		})
	}
	sent.Wait()
	if got := rd.free(); got != 4*largest {
		t.Errorf("%d bytes are free in the end", got)
	}
}

// When all room is taken one goes on in the reserve, and the others in the order
// in which they came.
func TestReserve(t *testing.T) {
	t.Parallel()
	r := newRoom(300, 100)
	ctx := t.Context()
	take := func(s *share, n int64) {
		t.Helper()
		if err := r.take(ctx, s, n); err != nil {
			t.Fatal(err)
		}
	}
	var a, b, c share
	take(&a, 80)
	take(&b, 80)
	take(&c, 40) // 200 of 200
	take(&a, 20)
	if !a.reserve || a.held != 80 {
		t.Errorf("%+v", a)
	}
	waited := make(chan error, 2)
	go func() { waited <- r.take(ctx, &b, 20) }()
	r.awaitWaiters(t, 1)
	gone, leave := context.WithCancel(ctx)
	go func() { waited <- r.take(gone, &c, 60) }()
	r.awaitWaiters(t, 2)
	leave()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	r.give(&c) // 40: enough for the first
	if err := <-waited; err != nil || b.held != 100 || b.reserve {
		t.Errorf("%v: %+v", err, b)
	}
	r.give(&a)
	r.give(&b)
	if r.free != 200 || r.reserved || r.waiting.Len() != 0 {
		t.Errorf("%+v", r)
	}
}

func (r *room) awaitWaiters(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		r.mu.Lock()
		got := r.waiting.Len()
		r.mu.Unlock()
		if got == n {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d wait for room, want %d", got, n)
		case <-tick.C:
		}
	}
}

// A sender who leaves in the middle gives its room back, also while it waits for
// more.
func TestRoomOfWhoLeft(t *testing.T) {
	t.Parallel()
	rd := narrow()
	in, out := io.Pipe()
	failed := make(chan error)
	go func() {
		_, _, err := rd.Body(t.Context(), httptest.NewRecorder(), from(t.Context(), in, largest))
		failed <- err
	}()
	if _, err := out.Write(make([]byte, largest/2)); err != nil {
		t.Fatal(err)
	}
	if rd.free() > 4*largest-largest/2 {
		t.Errorf("%d bytes are free while it sends", rd.free())
	}
	_ = out.CloseWithError(io.ErrUnexpectedEOF)
	wantsKind(t, <-failed, fault.Unreadable)
	if got := rd.free(); got != 4*largest {
		t.Errorf("%d bytes are free when it has left", got)
	}

	var all share
	if err := rd.room.take(t.Context(), &all, 3*largest); err != nil {
		t.Fatal(err)
	}
	var reserve share
	if err := rd.room.take(t.Context(), &reserve, 1); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		_, _, err := rd.Body(ctx, httptest.NewRecorder(), from(ctx, bytes.NewReader(make([]byte, largest)), largest))
		failed <- err
	}()
	rd.room.awaitWaiters(t, 1)
	leave()
	wantsKind(t, <-failed, fault.Overloaded)
	rd.room.give(&all)
	rd.room.give(&reserve)
	if got := rd.free(); got != 4*largest {
		t.Errorf("%d bytes are free in the end", got)
	}
}

// Who finds no room gives up while there were still time for the rest.
func TestHalfOfTheTimeIsForTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rd := narrow()
		var all, reserve share
		if err := errors.Join(rd.room.take(t.Context(), &all, 3*largest), rd.room.take(t.Context(), &reserve, 1)); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(6*time.Second, func() { // for the first growth, and for no other
			rd.room.mu.Lock()
			defer rd.room.mu.Unlock()
			rd.room.free += growth * firstBytes
			rd.room.grant()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		_, _, err := rd.Body(ctx, httptest.NewRecorder(), from(ctx, bytes.NewReader(make([]byte, largest)), largest))
		wantsKind(t, err, fault.Overloaded)
		if got := time.Since(began); got != 10*time.Second {
			t.Errorf("it waited %v, want 10s", got)
		}
	})
}

// A body is what came, however it comes, up to the limit.
func TestBodySizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, firstBytes - 1, firstBytes, firstBytes + 1, growth * firstBytes, growth*firstBytes + 1, largest - 1, largest, largest + 1} {
		for _, declared := range []int64{int64(size), -1} {
			rd := narrow()
			content := bytes.Repeat([]byte("x"), size)
			body, release, err := rd.Body(t.Context(), httptest.NewRecorder(), from(t.Context(), bytes.NewReader(content), declared))
			if size > largest {
				wantsKind(t, err, fault.TooLarge)
				continue
			}
			if err != nil || !bytes.Equal(body, content) {
				t.Fatalf("%d bytes, declared %d: got %d, %v", size, declared, len(body), err)
			}
			held := 4*largest - rd.free()
			if size <= firstBytes && held != 0 || size > firstBytes && (held < int64(size) || declared >= 0 && held != int64(size) || held > largest) {
				t.Errorf("%d bytes, declared %d, hold %d", size, declared, held)
			}
			release()
			if rd.free() != 4*largest {
				t.Error("room is left taken")
			}
		}
	}
}

// Whole keeps the beginning of what is too large, and knows how much came.
func TestWhole(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 10, largest, largest + 1, 10 * largest} {
		for _, declared := range []int64{int64(size), -1} {
			rd := narrow()
			body, came, release, err := rd.Whole(t.Context(), from(t.Context(), bytes.NewReader(make([]byte, size)), declared))
			if err != nil || came != int64(size) || len(body) != min(size, largest) {
				t.Fatalf("%d bytes, declared %d: kept %d of %d, %v", size, declared, len(body), came, err)
			}
			release()
			if rd.free() != 4*largest {
				t.Error("room is left taken")
			}
		}
	}
	rd := narrow()
	broken := io.MultiReader(bytes.NewReader(make([]byte, 2*largest)), iotest.ErrReader(io.ErrUnexpectedEOF))
	body, _, _, err := rd.Whole(t.Context(), from(t.Context(), broken, -1))
	if wantsKind(t, err, fault.Unreadable); body != nil {
		t.Errorf("%d bytes", len(body))
	}
	if rd.free() != 4*largest {
		t.Error("room is left taken by what ended early")
	}
}
