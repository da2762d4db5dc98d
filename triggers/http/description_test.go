package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// described is the OpenAPI description, read and found valid.
var described = sync.OnceValues(func() (routers.Router, error) {
	for _, media := range []string{"application/cloudevents+json", "application/cloudevents-batch+json"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.JSONBodyDecoder)
	}
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc) // validates it
})

// checkDescribed holds a request that was taken, and every answer, to the
// description.
func checkDescribed(t testing.TB, r *http.Request, answer response) {
	t.Helper()
	router, err := described()
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host, r.Host = "", "", ""
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Errorf("%s %s is not described: %v", r.Method, r.URL, err)
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if answer.status < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			t.Errorf("%s %s was taken, but not as described: %v", r.Method, r.URL, err)
		}
	}
	if err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.status, Header: answer.header, Body: io.NopCloser(strings.NewReader(answer.body)),
		Options: input.Options,
	}); err != nil {
		t.Errorf("%s %s: the answer %d is not as described: %v", r.Method, r.URL, answer.status, err)
	}
}

// Every route is described, and every path of the description is served.
func TestRoutesAreDescribed(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var served []string
	for _, r := range routes {
		served = append(served, "POST "+r.path)
	}
	served = append(served, "GET /openapi.json", "GET /health/liveness", "GET /health/readiness", "GET /metrics")
	var told []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			told = append(told, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(told)
	if !slices.Equal(served, told) {
		t.Errorf("served:    %q\ndescribed: %q", served, told)
	}
	w := newWorld(t, nil)
	for _, path := range told {
		path, isGet := strings.CutPrefix(path, "GET ")
		if !isGet {
			continue
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer := roundTrip(t, http.DefaultClient, r)
		if answer.status != http.StatusOK {
			t.Errorf("%s: %d", path, answer.status)
		}
		if path == "/openapi.json" && !bytes.Equal([]byte(answer.body), description) {
			t.Error("another description is served")
		}
		checkDescribed(t, r, answer)
	}
}
