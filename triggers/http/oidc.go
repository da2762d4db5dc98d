package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/shared/kafka"
)

// OIDC says whose tokens are believed, and what they allow.
type OIDC struct {
	// Issuer is the URL of the OpenID provider whose tokens are required; empty:
	// nobody is asked for a token, and only this machine is served.
	Issuer string `env:"OIDC_ISSUER"`
	// Audience has to be among a token's audiences.
	Audience string `env:"OIDC_AUDIENCE"`
	// JWKSURL is where the issuer's keys are; empty: where its discovery document
	// says.
	JWKSURL string `env:"OIDC_JWKS_URL"`
	// CACerts are trusted for the issuer beside the system's own, as PEM.
	CACerts string `env:"OIDC_CA_CERTS"`
	// Algorithms are the signatures that count. Only those with a public key do.
	Algorithms []string `env:"OIDC_ALGORITHMS" envDefault:"RS256,ES256"`
	// TenantsClaim and TypesClaim name the claims that list what a token allows:
	// tenants, a list or one; and event types such as trade.executed.v1, trade.* or
	// *, a list or a text with spaces between. Without the claim nothing is allowed.
	TenantsClaim string `env:"OIDC_TENANTS_CLAIM" envDefault:"tenants"`
	TypesClaim   string `env:"OIDC_TYPES_CLAIM" envDefault:"event_types"`
	// TrustedSubjects may write for all tenants and all types: the service
	// account of a Knative Trigger, for example.
	TrustedSubjects []string `env:"OIDC_TRUSTED_SUBJECTS"`
}

// asymmetric are the algorithms whose keys an issuer can publish. With any other
// the public key could be taken for a secret.
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func (o OIDC) validate() error {
	if o.Issuer == "" {
		if o.Audience != "" || o.JWKSURL != "" || len(o.TrustedSubjects) > 0 {
			return errors.New("OIDC_ISSUER is missing, and another OIDC_ setting is there")
		}
		return nil
	}
	var wrong []error
	for name, text := range map[string]string{"OIDC_ISSUER": o.Issuer, "OIDC_JWKS_URL": o.JWKSURL} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Host))) {
			wrong = append(wrong, fmt.Errorf("%s is no https URL", name))
		}
	}
	if o.Audience == "" {
		wrong = append(wrong, errors.New("OIDC_AUDIENCE is required with OIDC_ISSUER: a token for somebody else must not count here"))
	}
	if o.TenantsClaim == "" || o.TypesClaim == "" {
		wrong = append(wrong, errors.New("OIDC_TENANTS_CLAIM and OIDC_TYPES_CLAIM must have names"))
	}
	if slices.Contains(o.TrustedSubjects, "") {
		wrong = append(wrong, errors.New("OIDC_TRUSTED_SUBJECTS has an empty entry"))
	}
	if len(o.Algorithms) == 0 {
		wrong = append(wrong, errors.New("OIDC_ALGORITHMS is empty"))
	}
	for _, name := range o.Algorithms {
		if !slices.Contains(asymmetric, name) {
			wrong = append(wrong, fmt.Errorf("OIDC_ALGORITHMS: %q is none of %s", name, strings.Join(asymmetric, ", ")))
		}
	}
	if _, err := kafka.RootCAs(o.CACerts); err != nil {
		wrong = append(wrong, fmt.Errorf("OIDC_CA_CERTS: %w", err))
	}
	return errors.Join(wrong...)
}
