package gateway

import (
	_ "embed"
	"net/http"
)

// description is the OpenAPI description of the routes; a test holds it to them.
//
//go:embed openapi.json
var description []byte

func serveDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(description) // the client may be gone
}
