package runtime

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/function"
)

const (
	batchMedia      = "application/cloudevents-batch+json"
	structuredMedia = "application/cloudevents+json"
	maxEvents       = 10_000 // of one request
)

// intake takes requests with events.
type intake struct {
	fn        function.Definition
	config    Config
	bodies    *semaphore.Weighted // bytes of requests in the process
	admission *admission
	shards    []*shard
	seed      maphash.Seed
}

// ServeHTTP decides the events of a request and answers after their commit.
func (in *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), in.config.RequestTimeout)
	defer cancel()
	if err := in.serve(ctx, w, r); err != nil {
		fault.Write(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (in *intake) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return fault.New(fault.WrongMethod, "events come by POST")
	}
	size := r.ContentLength
	if size > in.config.MaxBodyBytes {
		return in.tooLarge()
	}
	if size < 0 {
		size = in.config.MaxBodyBytes
	}
	if err := in.bodies.Acquire(ctx, size); err != nil {
		return fault.New(fault.Overloaded, "no room for a request of %d bytes", size)
	}
	defer in.bodies.Release(size)
	body, err := in.read(w, r)
	if err != nil {
		return err
	}
	received, err := parse(r, body)
	if err != nil {
		return err
	}
	if err := in.checkSizes(received); err != nil {
		return err
	}
	return in.decide(ctx, received)
}

func (in *intake) tooLarge() error {
	return fault.New(fault.TooLarge, "a request may have %d bytes and %d events, an event %d bytes",
		in.config.MaxBodyBytes, maxEvents, in.config.MaxEventBytes)
}

func (in *intake) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, fault.New(fault.WrongMedia, "content encoding %q is not supported", encoding)
	}
	limited := http.MaxBytesReader(w, r.Body, in.config.MaxBodyBytes)
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, in.tooLarge()
	}
	if err != nil {
		return nil, fault.New(fault.Unreadable, "the body ended early")
	}
	return body, nil
}

func (in *intake) checkSizes(received []event.Received) error {
	for _, r := range received {
		if len(r.Raw) > in.config.MaxEventBytes {
			return in.tooLarge()
		}
	}
	return nil
}

// parse reads the events of a request in one of the three modes of the
// CloudEvents HTTP binding.
func parse(r *http.Request, body []byte) ([]event.Received, error) {
	contentType := r.Header.Get("Content-Type")
	media, _, _ := mime.ParseMediaType(contentType)
	switch {
	case media == batchMedia:
		received, err := event.ParseBatch(body, maxEvents)
		if errors.Is(err, event.ErrTooMany) {
			return nil, fault.New(fault.TooLarge, "a request may have %d events", maxEvents)
		}
		if err != nil {
			return nil, fault.New(fault.Unreadable, "%v", err)
		}
		return received, nil
	case media == structuredMedia:
		return []event.Received{event.ParseStructured(body)}, nil
	case r.Header.Get("Ce-Specversion") != "":
		attributes, err := headerAttributes(r.Header)
		if err != nil {
			return nil, err
		}
		return []event.Received{event.ParseBinary(attributes, contentType, body)}, nil
	}
	return nil, fault.New(fault.WrongMedia, "want %s, %s, or ce- headers; got content type %q", batchMedia, structuredMedia, contentType)
}

func headerAttributes(h http.Header) (map[string]string, error) {
	attributes := map[string]string{}
	for name, values := range h {
		attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok {
			continue
		}
		if len(values) != 1 {
			return nil, fault.New(fault.Unreadable, "header %s comes %d times", name, len(values))
		}
		// The HTTP binding percent-encodes what a header cannot hold.
		value, err := url.PathUnescape(values[0])
		if err != nil {
			value = values[0]
		}
		attributes[attribute] = value
	}
	return attributes, nil
}

func (in *intake) decide(ctx context.Context, received []event.Received) error {
	if len(received) == 0 {
		return nil
	}
	// Processing ends a little before the request, so that its reason is heard.
	deadline, _ := ctx.Deadline()
	req := newRequest(len(received), deadline.Add(-in.config.RequestTimeout/20))
	now := time.Now()
	parts := make([][]*candidate, len(in.shards))
	d := demand{total: len(received), byTenant: map[string]int{}}
	for _, r := range received {
		c := newCandidate(in.fn, r, now)
		c.request = req
		d.byTenant[tenantOf(c)]++
		n := in.shardOf(c)
		parts[n] = append(parts[n], c)
	}
	if err := in.admission.acquire(ctx, d); err != nil {
		return err
	}
	for n, part := range parts {
		if len(part) > 0 {
			in.shards[n].put(part)
		}
	}
	select {
	case <-req.done:
		return req.err()
	case <-ctx.Done():
		return fault.New(fault.TimedOut, "not committed in %v", in.config.RequestTimeout)
	}
}

func (in *intake) shardOf(c *candidate) int {
	if c.event == nil {
		return 0
	}
	return int(maphash.Comparable(in.seed, c.entity()) % uint64(len(in.shards)))
}
