package test_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A call by HTTP wakes the gateway and a function, both at zero pods, and gets what
// was decided; the same call again gets the same.
func TestCallFromZero(t *testing.T) {
	w := join(t)
	w.awaitZero(t, "trade", "http")
	token, id := w.token(t), fmt.Sprintf("call-%d", time.Now().UnixNano())
	for _, want := range []string{
		fmt.Sprintf(`{"id":%q,"outcome":"applied","version":1}`, id),
		fmt.Sprintf(`{"id":%q,"outcome":"applied","duplicate":true,"version":1}`, id),
	} {
		began := time.Now()
		status, body := w.call(t, token, id)
		t.Logf("the call is answered after %s: %d %s", time.Since(began).Round(time.Millisecond), status, strings.TrimSpace(body))
		if status != http.StatusOK || strings.TrimSpace(body) != want {
			t.Fatalf("the call is answered %d %s, want 200 %s", status, body, want)
		}
	}
	w.check(t, nil)
}

func (w *world) call(t *testing.T, token, id string) (status int, body string) {
	t.Helper()
	url := "http://http." + namespace + ".svc.cluster.local/v1/calls/trade.executed.v1?tenant=acme&subject=" + id
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url,
		strings.NewReader(`{"instrument":"ACME","side":"buy","quantity":"1","price":"12.90","currency":"EUR"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", id)
	request.Header.Set("Authorization", "Bearer "+token)
	return w.do(t, request)
}

// token is one of the service account that the gateway trusts.
func (w *world) token(t *testing.T) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{w.config["OIDC_AUDIENCE"]}}}
	token, err := w.kube.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "caller", request, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("a token for the service account caller: %v", err)
	}
	return token.Status.Token
}
