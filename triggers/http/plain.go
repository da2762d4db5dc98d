package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

const idempotencyKey = "Idempotency-Key"

// readPlain makes an event of a request whose body is the data and whose path
// is the type. The header Idempotency-Key of the answer says which id it got.
func (g *Gateway) readPlain(ctx context.Context, v *visit) ([]event.Received, error) {
	media, _, _ := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if media != "application/json" {
		// Not even nothing is as good as JSON: a web page can make a browser send that.
		return nil, fault.New(fault.WrongMedia, "want content type application/json, got %q (curl: --json, or -H content-type:application/json)", media)
	}
	query, err := readQuery(v.r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	id, err := plainID(v.r.Header.Values(idempotencyKey), query["id"])
	if err != nil {
		return nil, err
	}
	e := &event.Event{
		TenantID: query["tenant"], Source: g.config.Source, ID: id, Type: v.r.PathValue("type"), Subject: query["subject"],
		Time: time.Now().UTC().Truncate(time.Microsecond), ContentType: "application/json", IsJSON: true,
	}
	for _, name := range []string{"time", "partitionkey"} {
		if value := query[name]; value != "" {
			err = e.SetAttribute(name, value)
		}
		if invalid := event.AsInvalid(err); invalid != nil {
			return nil, fault.New(fault.Invalid, "%s", invalid.Detail)
		}
	}
	body, release, err := g.reader.Body(ctx, v.w, v.r)
	if err != nil {
		return nil, err
	}
	v.give(release)
	if e.Data = body; !jsontext.Value(body).IsValid() {
		return nil, fault.New(fault.Invalid, "the body is not JSON, and it has to be the event's data: %s", whyInvalid(body))
	}
	v.w.Header().Set(idempotencyKey, id)
	return []event.Received{{Event: e, Raw: event.AppendJSON(nil, e)}}, nil
}

// whyInvalid says what is wrong with JSON, and after how many bytes.
func whyInvalid(body []byte) string {
	err := jsontext.NewDecoder(bytes.NewReader(body)).SkipValue()
	switch {
	case err == nil:
		return "something follows its value"
	case errors.Is(err, io.EOF):
		return "it is empty"
	}
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

// parameters are those that a request with plain JSON may have.
var parameters = []string{"tenant", "subject", "id", "time", "partitionkey"}

func readQuery(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault.New(fault.Unreadable, "the query of the URL cannot be read: percent-encode its values")
	}
	query := map[string]string{}
	for name, all := range values {
		switch {
		case name == "sequence":
			return nil, fault.New(fault.Invalid, "an event from here has no sequence, since many share its source: send a CloudEvent with a source of your own")
		case !slices.Contains(parameters, name):
			return nil, fault.New(fault.Invalid, "the parameter %q is unknown: there are %s", name, strings.Join(parameters, ", "))
		case len(all) > 1:
			return nil, fault.New(fault.Invalid, "the parameter %s comes %d times", name, len(all))
		}
		query[name] = all[0]
	}
	return query, nil
}

// plainID is what the client names, or a new one.
func plainID(keys []string, id string) (string, error) {
	if len(keys) > 1 {
		return "", fault.New(fault.Unreadable, "header %s comes %d times", idempotencyKey, len(keys))
	}
	key := ""
	if len(keys) == 1 {
		key = strings.Trim(keys[0], `"`) // a quoted string, as its draft standard has it
	}
	switch {
	case key != "" && id != "" && key != id:
		return "", fault.New(fault.Invalid, "the header %s and the parameter id name two ids", idempotencyKey)
	case key != "":
		return key, nil
	case id != "":
		return id, nil
	}
	// Of version 7: ids of one moment lie together in an index.
	return uuid.Must(uuid.NewV7()).String(), nil
}
