package gateway

import (
	"crypto"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/millrace/millrace/shared/binding"
)

func (w *world) with(t *testing.T, token string, r request) response {
	t.Helper()
	if token != "" {
		r.headers = append(r.headers, "Authorization: Bearer "+token)
	}
	return w.send(t, r)
}

func good(path string) request {
	return request{path, binding.StructuredMedia, structured("e", nil), nil}
}

func newGuarded(t *testing.T, i *issuer, change func(*Config)) *world {
	t.Helper()
	return newWorld(t, func(c *Config) {
		c.OIDC = OIDC{Issuer: i.URL, Audience: "millrace", Algorithms: []string{"RS256", "ES256"}, TenantsClaim: "tenants", TypesClaim: "event_types"}
		if change != nil {
			change(c)
		}
	})
}

// Tokens that do not count get 401, on every route, with a reason that quotes
// no token; nothing enters Kafka.
func TestTokensThatDoNotCount(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.publish(map[string]crypto.Signer{"one": rsaKey(), "ec": newEC(t)})
	w := newGuarded(t, i, nil)
	rs := func(change map[string]any) string {
		return token(t, jose.RS256, "one", rsaKey(), i.claims(change))
	}
	valid := rs(nil)
	parts := strings.Split(valid, ".")
	forged := strings.Split(rs(map[string]any{"tenants": []string{"*"}}), ".")[1]
	for name, text := range map[string]string{
		"none":                         "",
		"no token":                     "hello",
		"two parts":                    parts[0] + "." + parts[1],
		"another audience":             rs(map[string]any{"aud": "somebody-else"}),
		"no audience":                  rs(map[string]any{"aud": nil}),
		"another issuer":               rs(map[string]any{"iss": "https://evil.example"}),
		"expired":                      rs(map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"no expiry":                    rs(map[string]any{"exp": nil}),
		"not yet valid":                rs(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"alg none":                     unsigned(t, i.claims(nil)),
		"HS256 with the public key":    token(t, jose.HS256, "one", publicPEM(t, rsaKey()), i.claims(nil)),
		"RS512, which is not allowed":  token(t, jose.RS512, "one", rsaKey(), i.claims(nil)),
		"ES256 by the name of RS256's": token(t, jose.ES256, "one", newEC(t), i.claims(nil)),
		"unknown kid":                  token(t, jose.RS256, "two", otherKey(), i.claims(nil)),
		"another's key, this kid":      token(t, jose.RS256, "one", otherKey(), i.claims(nil)),
		"another's key, no kid":        token(t, jose.RS256, "", otherKey(), i.claims(nil)),
		"changed claims":               parts[0] + "." + forged + "." + parts[2],
		"no signature":                 parts[0] + "." + parts[1] + ".",
	} {
		for _, r := range routes {
			to := good(strings.Replace(r.path, "{type}", "trade.executed.v1?tenant=acme&subject=a", 1))
			answer := w.with(t, text, to)
			answer.wants(t, name+" "+r.path, http.StatusUnauthorized, "token")
			want := `Bearer realm="millrace", error="invalid_token"`
			if text == "" {
				want = `Bearer realm="millrace"`
			}
			if got := answer.header.Get("WWW-Authenticate"); got != want {
				t.Errorf("%s: WWW-Authenticate %s", name, got)
			}
			if text != "" && len(text) > 10 && strings.Contains(answer.body, text) {
				t.Errorf("%s: the answer quotes the token: %s", name, answer.body)
			}
		}
	}
	for name, headers := range map[string][]string{
		"basic": {"Authorization: Basic " + valid}, "bare": {"Authorization: " + valid}, "twice": {"Authorization: Bearer " + valid, "Authorization: Bearer " + valid},
	} {
		r := good("/")
		r.headers = headers
		w.send(t, r).wants(t, name, http.StatusUnauthorized, "want one header Authorization")
	}
	w.with(t, valid, good("/")).wants(t, "a good one", http.StatusAccepted, "")
	w.with(t, token(t, jose.RS256, "", rsaKey(), i.claims(map[string]any{"aud": []string{"x", "millrace"}})), good("/")).wants(t, "no kid, two audiences", http.StatusAccepted, "")
	w.stored(t, 2)
	if strings.Contains(w.log.String(), parts[1]) || strings.Contains(w.log.String(), "without OIDC_ISSUER") {
		t.Errorf("logged: %s", w.log)
	}
	if n := i.reads.Load(); n > 10 {
		t.Errorf("the keys were read %d times, though bad tokens may not cause that", n)
	}
}

// A token allows tenants and types, for each event of a batch.
func TestGrants(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.publish(map[string]crypto.Signer{"one": rsaKey()})
	function := newFunction(t, func(w http.ResponseWriter, id string) {
		respond(w, 200, jsonMedia, `{"id":"`+id+`","outcome":"applied"}`)
	})
	w := newGuarded(t, i, func(c *Config) {
		c.OIDC.TrustedSubjects, c.Calls = []string{"system:serviceaccount:eventing:trigger"}, CallURLs{"*": function}
	})
	event := func(tenant, eventType string) string {
		return structured("e", map[string]any{"tenantid": tenant, "type": eventType})
	}
	plain := func(path, tenant, eventType string) request {
		return request{path + eventType + "?tenant=" + tenant + "&subject=a", jsonMedia, "{}", nil}
	}
	one := func(tenant, eventType string) request {
		return request{"/", binding.StructuredMedia, event(tenant, eventType), nil}
	}
	for name, test := range map[string]struct {
		claims map[string]any
		request
		status int
		text   string
	}{
		"allowed":             {nil, one("globex", "ledger.posted.v1"), 202, ""},
		"a type by prefix":    {nil, one("acme", "trade.cancelled.v1"), 202, ""},
		"another tenant":      {nil, one("initech", "trade.executed.v1"), 403, `the token does not allow the tenant \"initech\"`},
		"another type":        {nil, one("acme", "ledger.reversed.v1"), 403, `the token does not allow the type \"ledger.reversed.v1\"`},
		"no claims":           {map[string]any{"tenants": nil, "event_types": nil}, one("acme", "trade.executed.v1"), 403, "tenant"},
		"no types":            {map[string]any{"event_types": nil}, one("acme", "trade.executed.v1"), 403, "type"},
		"odd claims":          {map[string]any{"tenants": 7, "event_types": true}, one("acme", "trade.executed.v1"), 403, "tenant"},
		"text claims":         {map[string]any{"tenants": "acme", "event_types": "y trade.executed.v1"}, one("acme", "trade.executed.v1"), 202, ""},
		"a tenant of words":   {map[string]any{"tenants": "acme corp"}, one("acme", "trade.executed.v1"), 403, "tenant"},
		"everything":          {map[string]any{"tenants": []string{"*"}, "event_types": "*"}, one("initech", "ledger.reversed.v1"), 202, ""},
		"half a word":         {map[string]any{"event_types": "trade.exec*"}, one("acme", "trade.executed.v1"), 403, "type"},
		"a tenant's prefix":   {map[string]any{"tenants": "ac*"}, one("acme", "trade.executed.v1"), 403, "tenant"},
		"a trusted subject":   {map[string]any{"sub": "system:serviceaccount:eventing:trigger", "tenants": nil}, one("initech", "ledger.reversed.v1"), 202, ""},
		"a trusted one, bad":  {map[string]any{"sub": "system:serviceaccount:eventing:trigger"}, request{"/", binding.StructuredMedia, structured("e", map[string]any{"source": "/millrace/x"}), nil}, 202, ""},
		"the same, no Broker": {map[string]any{"sub": "system:serviceaccount:eventing:trigger"}, request{"/v1/events", binding.StructuredMedia, structured("e", map[string]any{"source": "/millrace/x"}), nil}, 400, "is reserved"},
		"somebody's, bad":     {nil, request{"/", binding.StructuredMedia, structured("e", map[string]any{"source": "/millrace/x"}), nil}, 400, "is reserved"},
		"plain":               {nil, plain("/v1/events/", "acme", "trade.executed.v1"), 202, "trade-events"},
		"plain, tenant":       {nil, plain("/v1/events/", "initech", "trade.executed.v1"), 403, "initech"},
		"plain, type":         {nil, plain("/v1/events/", "acme", "agent.signed-in.v1"), 403, "agent.signed-in.v1"},
		"call":                {nil, plain("/v1/calls/", "acme", "trade.executed.v1"), 200, "applied"},
		"call, tenant":        {nil, plain("/v1/calls/", "initech", "trade.executed.v1"), 403, "initech"},
		"call, type":          {nil, plain("/v1/calls/", "acme", "agent.signed-in.v1"), 403, "agent.signed-in.v1"},
		"one within a batch":  {nil, request{"/v1/events", binding.BatchMedia, batch(event("acme", "trade.x"), event("initech", "trade.x"), event("acme", "trade.x")), nil}, 403, `event 1 (id \"e\"): the token does not allow the tenant \"initech\"; nothing of the request was taken`},
		"a type in a batch":   {nil, request{"/v1/events", binding.BatchMedia, batch(event("acme", "trade.x"), event("acme", "agent.x")), nil}, 403, `event 1 (id \"e\"): the token does not allow the type \"agent.x\"`},
	} {
		answer := w.with(t, token(t, jose.RS256, "one", rsaKey(), i.claims(test.claims)), test.request)
		answer.wants(t, name, test.status, test.text)
		if got := answer.header.Get("WWW-Authenticate"); (test.status == 403) != strings.HasPrefix(got, `Bearer realm="millrace", error="insufficient_scope"`) {
			t.Errorf("%s: WWW-Authenticate %q", name, got)
		}
	}
	w.stored(t, 6)
	w.letters(t, tradeLetters, 1) // a Broker's Trigger would not send it again
}

// Keys change: a new one counts when its first token comes, and one that was
// withdrawn no longer counts once the keys are read again. While the issuer is
// away the known keys count.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	w := newGuarded(t, i, nil)
	var clock sync.Mutex
	now := time.Now()
	w.access.keys.now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	later := func(d time.Duration) { clock.Lock(); defer clock.Unlock(); now = now.Add(d) }
	first, second := token(t, jose.RS256, "one", rsaKey(), i.claims(nil)), token(t, jose.RS256, "two", otherKey(), i.claims(nil))

	i.setDown(true)
	answer := w.with(t, first, good("/"))
	answer.wants(t, "the issuer is away from the start", http.StatusServiceUnavailable, "the issuer's keys cannot be read now")
	if answer.header.Get("Retry-After") == "" || !strings.Contains(w.log.String(), "502") {
		t.Errorf("Retry-After %q, log %s", answer.header.Get("Retry-After"), w.log)
	}
	i.setDown(false)
	i.publish(map[string]crypto.Signer{"one": rsaKey()})
	w.with(t, first, good("/")).wants(t, "asked too soon again", http.StatusServiceUnavailable, "keys")
	later(keysPause)
	w.with(t, first, good("/")).wants(t, "it is back", http.StatusAccepted, "")
	w.with(t, second, good("/")).wants(t, "an unknown key", http.StatusUnauthorized, "not valid here")

	i.publish(map[string]crypto.Signer{"one": rsaKey(), "two": otherKey()})
	later(keysPause)
	w.with(t, second, good("/")).wants(t, "the new key", http.StatusAccepted, "")
	w.with(t, first, good("/")).wants(t, "the old key", http.StatusAccepted, "")
	third := token(t, jose.RS256, "three", rsaKey(), i.claims(nil))
	i.setDown(true)
	later(keysPause)
	w.with(t, third, good("/")).wants(t, "a key that may be new, and nobody to ask", http.StatusServiceUnavailable, "keys")
	i.setDown(false)

	i.publish(map[string]crypto.Signer{"two": otherKey()})
	i.setDown(true)
	later(keysFresh + time.Second)
	w.with(t, first, good("/")).wants(t, "the issuer is away", http.StatusAccepted, "")
	i.setDown(false)
	for answer = w.with(t, first, good("/")); answer.status == http.StatusAccepted; answer = w.with(t, first, good("/")) {
		later(keysPause) // it is read again while the known ones count on
	}
	answer.wants(t, "the key that was withdrawn", http.StatusUnauthorized, "not valid here")
	w.with(t, second, good("/")).wants(t, "the new key", http.StatusAccepted, "")

	i.publish(map[string]crypto.Signer{"three": rsaKey()})
	later(3 * keysFresh)
	w.with(t, second, good("/")).wants(t, "a key that was withdrawn long ago", http.StatusUnauthorized, "not valid here")
}

// Without an issuer nobody is asked for a token, which is said at the start; a
// broker's trigger never is, on an address of its own, which has nothing else.
func TestOpenAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.send(t, good("/")).wants(t, "open", http.StatusAccepted, "")
	if n := strings.Count(w.log.String(), "only this machine is served"); n != 1 {
		t.Errorf("said %d times: %s", n, w.log)
	}
	guarded := newGuarded(t, newIssuer(t), nil)
	guarded.send(t, good("/")).wants(t, "guarded", http.StatusUnauthorized, "token")
	r := good("/").build(t, guarded.subscriberURL)
	r.Host = "http.millrace.svc.cluster.local"
	roundTrip(t, http.DefaultClient, r).wants(t, "the trigger", http.StatusAccepted, "")
	for _, path := range []string{"/v1/events", "/v1/calls/trade.executed.v1", "/openapi.json"} {
		roundTrip(t, http.DefaultClient, good(path).build(t, guarded.subscriberURL)).wants(t, path, http.StatusNotFound, "nothing at")
	}
}
