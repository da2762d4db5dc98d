package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// maxAnswer bounds what is read of a function's answer.
const maxAnswer = 64 << 10

func newCaller() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     90 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// serveCall makes a call with a CloudEvent.
func (g *Gateway) serveCall(ctx context.Context, v *visit) error {
	received, release, err := g.reader.Events(ctx, v.w, v.r)
	if err != nil {
		return err
	}
	v.give(release)
	if len(received) != 1 {
		return fault.New(fault.Invalid, "a call has one event, not %d: send batches to /v1/events", len(received))
	}
	return g.call(ctx, v, received)
}

// servePlainCall makes a call with plain JSON.
func (g *Gateway) servePlainCall(ctx context.Context, v *visit) error {
	received, err := g.readPlain(ctx, v)
	if err != nil {
		return err
	}
	return g.call(ctx, v, received)
}

// call posts an event to its function and passes on what was decided.
func (g *Gateway) call(ctx context.Context, v *visit, received []event.Received) error {
	if err := g.enter(ctx, v); err != nil {
		return err
	}
	events, err := g.accept(received, v.who)
	if err != nil {
		return err
	}
	e := events[0]
	target := g.config.Calls.of(e.Function())
	switch {
	case e.Sequence != 0:
		return fault.New(fault.Invalid, "a call has no sequence: it is no part of a stream's order; send the event to /v1/events, or leave the sequence out")
	case e.Source != g.config.Source:
		return fault.New(fault.Invalid, "source %q: a call has the gateway's own source, %q", e.Source, g.config.Source)
	case target == "":
		return fault.New(fault.Unknown, "calls to the function %s are not set up here (CALL_URLS); send the event to /v1/events", e.Function())
	}
	told := g.follow(v, "call", events)
	a, err := g.post(ctx, target, e)
	told(err)
	g.metrics.called(e.Function(), a, err)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", a.media)
	v.w.WriteHeader(a.status)
	_, _ = v.w.Write(a.body) // the client may be gone, and may ask again
	return nil
}

// answered is what a function answers to a call.
type answered struct {
	status int
	media  string
	body   []byte
	said   struct {
		Outcome string `json:"outcome"`
		Detail  string `json:"detail"`
	}
}

func (g *Gateway) post(ctx context.Context, target string, e *event.Event) (answered, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(event.AppendJSON(nil, e))) //nolint:gosec // the operator names the targets; the event only picks one of known functions
	if err != nil {
		return answered{}, err
	}
	request.Header.Set("Content-Type", binding.StructuredMedia)
	if e.TraceParent != "" {
		request.Header.Set("Traceparent", e.TraceParent)
	}
	response, err := g.caller.Do(request) //nolint:gosec // as above
	if err == nil {
		defer response.Body.Close() //nolint:errcheck // it was only read
		var a answered
		if a, err = readAnswer(response); err == nil {
			return a, a.check()
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return answered{}, fault.New(fault.TimedOut, "the function did not answer in %v, and may have decided all the same: call again with the same id", g.config.RequestTimeout)
	}
	return answered{}, &unavailableError{"the function does not answer; call again with the same id", err}
}

func readAnswer(response *http.Response) (a answered, err error) {
	a.status = response.StatusCode
	a.media, _, _ = mime.ParseMediaType(response.Header.Get("Content-Type"))
	if a.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return a, err
	}
	_ = json.Unmarshal(a.body, &a.said) // check finds out
	return a, nil
}

// check tells an outcome, which is passed on as it is, from an answer that says
// nothing about the event.
func (a answered) check() error {
	switch {
	case a.said.Outcome != "" && slices.Contains([]int{http.StatusOK, http.StatusAccepted, http.StatusUnprocessableEntity}, a.status):
		return nil
	case a.status == http.StatusTooManyRequests:
		return fault.New(fault.Overloaded, "the function has no room: %s", a.said.Detail)
	case a.status == http.StatusGatewayTimeout:
		return fault.New(fault.TimedOut, "the function: %s; it may decide all the same: call again with the same id", a.said.Detail)
	case a.status == http.StatusUnprocessableEntity:
		return fault.New(fault.Unprocessable, "the function: %s", a.said.Detail)
	}
	return &unavailableError{"the function does not answer as it should; call again with the same id", fmt.Errorf("status %d: %q", a.status, a.said.Detail)}
}
