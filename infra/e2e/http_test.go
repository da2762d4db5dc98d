package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"

	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

// gateway is where the way in by HTTP listens.
func (w *world) gateway(t *testing.T) string {
	t.Helper()
	for _, p := range w.platform.Addresses.Processes {
		if p.Kind == platform.KindGateway {
			return p.URL
		}
	}
	t.Fatal("there is no gateway")
	return ""
}

// TestHTTPClients sends trades by HTTP in every mode, with what others use, and
// finds them in PostgreSQL and Redis.
func TestHTTPClients(t *testing.T) {
	w := theWorld(t)
	for _, client := range []struct {
		name string
		send func(t *testing.T, w *world, account, id string)
	}{
		{"CloudEvents SDK over HTTP, binary", httpSDK(binding.WithForceBinary)},
		{"CloudEvents SDK over HTTP, structured", httpSDK(binding.WithForceStructured)},
		{"CloudEvents SDK over HTTP, batch", httpBatch},
		{"plain JSON", func(t *testing.T, w *world, account, id string) {
			t.Helper()
			status, answer := w.post(t, "/v1/events/trade.executed.v1", account, id, clientTrade)
			if status != http.StatusAccepted || !strings.Contains(answer, `"topic":"trade-events"`) {
				t.Fatalf("%d %s", status, answer)
			}
		}},
	} {
		t.Run(client.name, func(t *testing.T) {
			account := strings.ReplaceAll(client.name, ", ", "/")
			id := "trade of " + account
			client.send(t, w, account, id)
			w.awaitEffect(t, account, id)
		})
	}
}

// httpSDK sends with the CloudEvents SDK and its HTTP protocol as their
// documentation shows it.
func httpSDK(mode func(context.Context) context.Context) func(t *testing.T, w *world, account, id string) {
	return func(t *testing.T, w *world, account, id string) {
		t.Helper()
		client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(w.gateway(t)))
		if err != nil {
			t.Fatal(err)
		}
		if result := client.Send(mode(t.Context()), newTrade(t, account, id)); !cloudevents.IsACK(result) {
			t.Fatalf("sending: %v", result)
		}
	}
}

func httpBatch(t *testing.T, w *world, account, id string) {
	t.Helper()
	request, err := cloudevents.NewHTTPRequestFromEvents(t.Context(), w.gateway(t), []cloudevents.Event{newTrade(t, account, id)})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := do(t, request); status != http.StatusAccepted || answer != "" {
		t.Fatalf("%d %s", status, answer)
	}
}

func newTrade(t *testing.T, account, id string) cloudevents.Event {
	t.Helper()
	e := cloudevents.NewEvent()
	e.SetID(id)
	e.SetType("trade.executed.v1")
	e.SetSource("/sdk")
	e.SetSubject(account)
	e.SetExtension("tenantid", clientsTenant)
	if err := e.Context.SetTime(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := e.SetData(cloudevents.ApplicationJSON, []byte(clientTrade)); err != nil {
		t.Fatal(err)
	}
	return e
}

// post sends plain JSON.
func (w *world) post(t *testing.T, path, account, id, data string) (int, string) {
	t.Helper()
	query := url.Values{"tenant": {clientsTenant}, "subject": {account}, "id": {id}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.gateway(t)+path+"?"+query.Encode(), strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestHTTPCalls calls a function and hears what it decided, again too.
func TestHTTPCalls(t *testing.T) {
	w := theWorld(t)
	const account = "called"
	const trade, cancel = "/v1/calls/trade.executed.v1", "/v1/calls/trade.cancelled.v1"
	type outcome struct {
		Outcome   string `json:"outcome"`
		Reason    string `json:"reason"`
		Version   int64  `json:"version"`
		Duplicate bool   `json:"duplicate"`
	}
	for n, call := range []struct {
		path, id, data string
		status         int
		want           outcome
	}{
		{trade, "bought", clientTrade, 200, outcome{Outcome: "applied", Version: 1}},
		{trade, "bought", clientTrade, 200, outcome{Outcome: "applied", Version: 1, Duplicate: true}},
		{cancel, "cancelled", `{"trade":"nobody's"}`, 422, outcome{Outcome: "refused", Reason: "trade-unknown", Version: 2}},
		{cancel, "cancelled", `{"trade":"nobody's"}`, 422, outcome{Outcome: "refused", Reason: "trade-unknown", Version: 2, Duplicate: true}},
		{trade, "bought", `{"instrument":"AAPL","side":"sell","quantity":"1","price":"8","currency":"USD"}`, 422, outcome{Outcome: "dead-letter", Reason: "identity-conflict"}},
		{trade, "odd", `{"instrument":"AAPL"}`, 422, outcome{Outcome: "dead-letter", Reason: "bad-payload"}},
	} {
		status, answer := w.post(t, call.path, account, call.id, call.data)
		var got outcome
		if err := json.Unmarshal([]byte(answer), &got); err != nil || status != call.status || got != call.want {
			t.Errorf("call %d: %d %s, error %v, want %+v", n, status, answer, err, call.want)
		}
	}
	w.awaitEffect(t, account, "bought")

	// What was called may come by Kafka too: it is one event, from one source.
	if status, answer := w.post(t, "/v1/events/trade.executed.v1", account, "bought", clientTrade); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	if status, answer := w.post(t, "/v1/events/trade.executed.v1", account, "sold", strings.Replace(clientTrade, "buy", "sell", 1)); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	stacktest.Eventually(t, time.Minute, "the sale", func(ctx context.Context) bool {
		var ids string
		err := w.pool.QueryRow(ctx, `
SELECT string_agg(id || ':' || outcome, ',' ORDER BY version) FROM millrace.audit
WHERE function = 'trade' AND tenant_id = $1 AND subject = $2`, clientsTenant, account).Scan(&ids)
		return err == nil && ids == "bought:applied,cancelled:refused,sold:applied"
	})
}
