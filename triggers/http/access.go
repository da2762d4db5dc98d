package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
)

// access says who sends a request and what they may.
type access struct {
	config   OIDC
	keys     *keySet
	verifier *oidc.IDTokenVerifier
}

// grants are what a sender may write: tenants and event types, where * is all,
// and trade.* all types that begin with trade and a dot.
type grants struct {
	tenants, types []string
	trusted        bool // everything, by name: a Broker's Trigger
}

var everything = grants{tenants: []string{"*"}, types: []string{"*"}}

// newAccess returns nil without an issuer: whoever reaches the address may
// write everything.
func newAccess(c OIDC) (*access, error) {
	if c.Issuer == "" {
		return nil, nil //nolint:nilnil // as said above
	}
	keys, err := newKeySet(c)
	if err != nil {
		return nil, err
	}
	return &access{config: c, keys: keys, verifier: oidc.NewVerifier(c.Issuer, keys, &oidc.Config{
		ClientID: c.Audience, SupportedSigningAlgs: c.Algorithms,
	})}, nil
}

// admit reads the token of a request.
func (a *access) admit(ctx context.Context, r *http.Request) (grants, error) {
	if a == nil {
		return everything, nil
	}
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return grants{}, fault.New(fault.Unauthenticated, "a bearer token of %s is required in the header Authorization", a.config.Issuer)
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return grants{}, fault.New(fault.Unauthenticated, "want one header Authorization: Bearer and a token")
	}
	var outage error
	verified, err := a.verifier.Verify(withOutage(ctx, &outage), strings.TrimSpace(token))
	if outage != nil {
		return grants{}, &unavailableError{"the issuer's keys cannot be read now", outage}
	}
	if expired, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return grants{}, fault.New(fault.Unauthenticated, "the token expired at %s: get a new one", expired.Expiry.UTC())
	}
	if err != nil {
		return grants{}, fault.New(fault.Unauthenticated, "the token is not valid here: %v", err)
	}
	return a.grantsOf(verified)
}

func (a *access) grantsOf(token *oidc.IDToken) (grants, error) {
	if token.Subject != "" && slices.Contains(a.config.TrustedSubjects, token.Subject) {
		return grants{everything.tenants, everything.types, true}, nil
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return grants{}, fault.New(fault.Unauthenticated, "the token's claims cannot be read")
	}
	types := texts(claims[a.config.TypesClaim])
	if one, ok := claims[a.config.TypesClaim].(string); ok { // as scope is
		types = strings.Fields(one)
	}
	return grants{tenants: texts(claims[a.config.TenantsClaim]), types: types}, nil
}

// texts reads a claim that is a list or one text. Tenants may have spaces in
// their names. Anything else grants nothing.
func texts(claim any) (all []string) {
	switch claim := claim.(type) {
	case string:
		return []string{claim}
	case []any:
		for _, one := range claim {
			if text, ok := one.(string); ok {
				all = append(all, text)
			}
		}
	}
	return all
}

// allow checks that the sender may write e.
func (g grants) allow(e *event.Event) error {
	if !slices.ContainsFunc(g.tenants, func(granted string) bool { return granted == "*" || granted == e.TenantID }) {
		return fault.New(fault.Forbidden, "the token does not allow the tenant %q", e.TenantID)
	}
	if !slices.ContainsFunc(g.types, func(granted string) bool { return matches(granted, e.Type) }) {
		return fault.New(fault.Forbidden, "the token does not allow the type %q", e.Type)
	}
	return nil
}

func matches(granted, eventType string) bool {
	if prefix, ok := strings.CutSuffix(granted, "*"); ok && (prefix == "" || strings.HasSuffix(prefix, ".")) {
		return strings.HasPrefix(eventType, prefix)
	}
	return granted == eventType
}

// challenge is the header WWW-Authenticate of RFC 6750 for an error; empty if
// it needs none.
func challenge(err error, sent bool) string {
	const realm = `Bearer realm="millrace"`
	switch kind := fault.KindOf(err); {
	case kind == fault.Forbidden:
		return realm + `, error="insufficient_scope", error_description="a claim of the token does not allow a tenant or an event type"`
	case kind == fault.Unauthenticated && sent:
		return realm + `, error="invalid_token"`
	case kind == fault.Unauthenticated:
		return realm
	}
	return ""
}
