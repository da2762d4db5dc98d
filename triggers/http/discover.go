package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// fetch reads the issuer's keys, from where its discovery document says.
func (k *keySet) fetch(ctx context.Context) (keys jose.JSONWebKeySet, err error) {
	address := k.config.JWKSURL
	if address == "" {
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.client), k.config.Issuer)
		if err != nil {
			return keys, fmt.Errorf("discovering the issuer: %w", err)
		}
		var discovered struct {
			JWKSURL string `json:"jwks_uri"`
		}
		if err := provider.Claims(&discovered); err != nil {
			return keys, fmt.Errorf("discovering the issuer: %w", err)
		}
		address = discovered.JWKSURL
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return keys, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	response, err := k.client.Do(request)
	if err != nil {
		return keys, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode != http.StatusOK {
		return keys, fmt.Errorf("reading the issuer's keys: it answers %s", response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxKeysBytes)).Decode(&keys); err != nil {
		return keys, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	return keys, nil
}
