package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/millrace/millrace/shared/kafka"
)

const (
	// keysFresh is how long keys are used before they are read again, so that a
	// withdrawn one stops to count. For as long again nobody has to wait for that.
	keysFresh = 10 * time.Minute
	// keysPause is the least time between two reads: tokens with made-up key ids
	// must not make the gateway flood the issuer.
	keysPause    = 2 * time.Second
	keysTimeout  = 3 * time.Second
	maxKeysBytes = 1 << 20
)

// keySet holds the issuer's keys. It reads them when it needs them: at the first
// token, for a key id that it does not know, and when they are old. Old keys
// stay in use while the issuer does not answer.
type keySet struct {
	config     OIDC
	client     *http.Client
	algorithms []jose.SignatureAlgorithm
	now        func() time.Time

	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	read    time.Time     // the zero time: never
	tried   time.Time     // when the last read ended
	err     error         // of the last read
	reading chan struct{} // closed when the read under way ends; nil: there is none
}

func newKeySet(c OIDC) (*keySet, error) {
	roots, err := kafka.RootCAs(c.CACerts)
	if err != nil {
		return nil, fmt.Errorf("OIDC_CA_CERTS: %w", err)
	}
	k := &keySet{config: c, now: time.Now, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
	}}
	for _, name := range c.Algorithms {
		k.algorithms = append(k.algorithms, jose.SignatureAlgorithm(name))
	}
	return k, nil
}

// outageKey carries out of go-oidc, which does not wrap errors, that it is not
// the token's fault.
type outageKey struct{}

func withOutage(ctx context.Context, outage *error) context.Context {
	return context.WithValue(ctx, outageKey{}, outage)
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSigned(token, k.algorithms)
	if err != nil {
		return nil, err
	}
	keys, err := k.find(ctx, signed.Signatures[0].Header.KeyID)
	if err != nil {
		if outage, ok := ctx.Value(outageKey{}).(*error); ok {
			*outage = err
		}
		return nil, err
	}
	for _, key := range keys {
		if payload, err := signed.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key of the issuer made the signature")
}

// find returns the keys with an id, all for an empty id.
func (k *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age, known := k.now().Sub(k.read), len(k.named(id)) > 0
	if known && age <= keysFresh {
		return k.named(id), nil
	}
	if k.reading == nil && k.now().Sub(k.tried) >= keysPause {
		k.reading = make(chan struct{})
		go k.refresh() //nolint:gosec // it is for others too, and outlives the request
	}
	if reading := k.reading; reading != nil && (!known || age > 2*keysFresh) {
		k.mu.Unlock()
		select {
		case <-reading:
		case <-ctx.Done():
		}
		k.mu.Lock()
	}
	if found := k.named(id); len(found) > 0 {
		return found, nil
	}
	// The issuer may have a new key, and not be able to say so.
	return nil, cmp.Or(ctx.Err(), k.err)
}

func (k *keySet) named(id string) []jose.JSONWebKey {
	if id == "" {
		return k.keys.Keys
	}
	return k.keys.Key(id)
}

// refresh is not bounded by the request that began it: others wait too.
func (k *keySet) refresh() {
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	keys, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried = k.now()
	if k.err = err; err == nil {
		k.keys, k.read = keys, k.tried
	}
	close(k.reading)
	k.reading = nil
}
