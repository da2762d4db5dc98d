package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/server"
)

// route is a path that takes POST.
type route struct {
	path  string
	serve func(g *Gateway, ctx context.Context, v *visit) error
}

// routes are those of the OpenAPI description.
var routes = []route{
	{"/", (*Gateway).serveDelivery},
	{"/v1/events", (*Gateway).serveEvents},
	{"/v1/events/{type}", (*Gateway).servePlain},
	{"/v1/calls", (*Gateway).serveCall},
	{"/v1/calls/{type}", (*Gateway).servePlainCall},
}

// Handler serves everybody; it is not ready once stopping ends.
func (g *Gateway) Handler(stopping context.Context) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		g.handle(mux, r, g.access, g.access == nil)
	}
	mux.HandleFunc("GET /openapi.json", serveDescription)
	return g.rest(stopping, mux)
}

// SubscriberHandler serves a Broker's Trigger, without authentication.
func (g *Gateway) SubscriberHandler(stopping context.Context) http.Handler {
	mux := http.NewServeMux()
	g.handle(mux, route{routes[0].path, (*Gateway).serveTrigger}, nil, false)
	return g.rest(stopping, mux)
}

func (g *Gateway) rest(stopping context.Context, mux *http.ServeMux) http.Handler {
	server.Health(stopping, mux, func(context.Context) error { return nil })
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fault.Write(w, fault.New(fault.Unknown, "there is nothing at %s: /openapi.json says what there is", r.URL.Path))
	})
	return mux
}

func (g *Gateway) handle(mux *http.ServeMux, to route, from *access, local bool) {
	pattern := to.path
	if pattern == "/" {
		pattern = "/{$}"
	}
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		out := &statusWriter{ResponseWriter: w}
		if err := g.serve(out, r, to, from, local); err != nil {
			g.refuse(out, r, to.path, err)
		}
		g.metrics.answered(to.path, out.status, time.Since(began))
	})
}

// serve finds out who sends a request and hands it to its route.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, to route, from *access, local bool) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return fault.New(fault.WrongMethod, "events come by POST: /openapi.json says where to")
	}
	if err := checkFraming(w, r); err != nil {
		return err
	}
	// A web page may have its own name point here; a browser tells that name.
	if local && !loopback(r.Host) {
		return fault.New(fault.Misdirected, "this gateway has no authentication and serves 127.0.0.1 and localhost only, not %q", r.Host)
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.config.RequestTimeout)
	defer cancel()
	who, err := from.admit(ctx, r)
	if err != nil {
		return err
	}
	v := newVisit(w, r, who)
	defer v.leave()
	return to.serve(g, ctx, v)
}

// enter lets a request in that was read, so that one which does not come to its
// end keeps nobody out.
func (g *Gateway) enter(ctx context.Context, v *visit) error {
	waiting, enough := binding.Waiting(ctx)
	defer enough()
	if err := g.room.Acquire(waiting, 1); err != nil {
		return fault.New(fault.Overloaded, "%d requests are in flight already", g.config.InFlight)
	}
	g.metrics.inFlight.Inc()
	v.give(func() { g.metrics.inFlight.Dec(); g.room.Release(1) })
	return nil
}

// unavailableError is a failure whose cause is for the log, not for the client.
type unavailableError struct {
	what  string
	cause error
}

func (e *unavailableError) Error() string { return e.what + ": " + e.cause.Error() }

func (e *unavailableError) Unwrap() error { return e.cause }

// refuse answers with an error. It logs what a client cannot see.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, route string, err error) {
	if u, ok := errors.AsType[*unavailableError](err); ok {
		g.log.Log(r.Context(), slog.LevelWarn, "a request failed", "route", route, "what", u.what, "error", u.cause.Error())
		err = fault.New(fault.Unavailable, "%s", u.what)
	}
	if text := challenge(err, r.Header.Get("Authorization") != ""); text != "" {
		w.Header().Set("WWW-Authenticate", text)
	}
	fault.Write(w, err)
}
