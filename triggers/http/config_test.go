package gateway

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
)

// environ sets only these variables of those that Config reads.
func environ(t *testing.T, vars map[string]string) {
	t.Helper()
	fields, err := env.GetFieldParams(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		t.Setenv(field.Key, "") // remembers what to restore
		if err := os.Unsetenv(field.Key); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

func TestConfig(t *testing.T) {
	environ(t, map[string]string{"KAFKA_BROKERS": "a:1,b:2", "CALL_URLS": "trade=http://127.0.0.1:18081/, *=http://{function}.millrace.svc"})
	c, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if c.address() != "127.0.0.1:8080" || c.Source != "millrace-http" || c.RequestTimeout != 25*time.Second || len(c.Brokers) != 2 {
		t.Errorf("%+v", c)
	}
	for function, want := range map[string]string{"trade": "http://127.0.0.1:18081/call", "ledger": "http://ledger.millrace.svc/call"} {
		if got := c.Calls.of(function); got != want {
			t.Errorf("calls to %s go to %s", function, got)
		}
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	environ(t, map[string]string{
		"KAFKA_BROKERS": "a:1,", "SOURCE": "/millrace/x", "CALL_URLS": "cake=http://a,trade=ftp://b", "MAX_IN_FLIGHT": "0", "READ_TIMEOUT": "-1s",
		"MAX_EVENT_BYTES": "10", "MAX_BODY_BYTES": "5", "KAFKA_NET_SASL_ENABLE": "true", "LISTEN_ADDRESS": ":8080",
		"OIDC_AUDIENCE": "millrace",
	})
	_, err := FromEnvironment()
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"KAFKA_BROKERS", "SOURCE", `"cake"`, "URL of trade", "MAX_IN_FLIGHT", "READ_TIMEOUT", "MAX_BODY_BYTES", "KAFKA_NET_SASL_USER", "LISTEN_ADDRESS", "OIDC_ISSUER"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}

// Nobody is let in without authentication from elsewhere.
func TestWhereItListens(t *testing.T) {
	oidc := map[string]string{"OIDC_ISSUER": "https://issuer.example", "OIDC_AUDIENCE": "millrace"}
	for _, test := range []struct {
		vars map[string]string
		more map[string]string
		want string // an address, or a part of the error
	}{
		{nil, nil, "127.0.0.1:8080"},
		{nil, map[string]string{"LISTEN_ADDRESS": "[::1]:9000"}, "[::1]:9000"},
		{nil, map[string]string{"LISTEN_ADDRESS": "localhost:9000"}, "localhost:9000"},
		{nil, map[string]string{"LISTEN_ADDRESS": ":9000"}, "LISTEN_ADDRESS :9000 is no loopback address"},
		{nil, map[string]string{"LISTEN_ADDRESS": "0.0.0.0:9000"}, "no loopback address"},
		{nil, map[string]string{"LISTEN_ADDRESS": "10.0.0.1:9000"}, "no loopback address"},
		{nil, map[string]string{"K_SERVICE": "http"}, "OIDC_ISSUER is required on Knative"},
		{oidc, map[string]string{"K_SERVICE": "http", "PORT": "9000"}, ":9000"},
		{oidc, map[string]string{"OIDC_AUDIENCE": ""}, "OIDC_AUDIENCE is required"},
		{oidc, map[string]string{"OIDC_ISSUER": "http://issuer.example"}, "OIDC_ISSUER is no https URL"},
		{oidc, map[string]string{"OIDC_ALGORITHMS": "RS256,HS256"}, `"HS256" is none of RS256`},
		{oidc, map[string]string{"OIDC_ALGORITHMS": "none"}, `"none" is none of RS256`},
		{oidc, map[string]string{"OIDC_CA_CERTS": "no PEM"}, "OIDC_CA_CERTS"},
	} {
		vars := map[string]string{"KAFKA_BROKERS": "a:1"}
		for _, more := range []map[string]string{test.vars, test.more} {
			maps.Copy(vars, more)
		}
		environ(t, vars)
		c, err := FromEnvironment()
		if got := c.address(); err == nil && got != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: address %s, error %v; want %s", test.more, got, err, test.want)
		}
	}
}

// A password in the settings is not told when they are wrong.
func TestConfigTellsNoSecrets(t *testing.T) {
	for _, vars := range []map[string]string{
		{"CALL_URLS": "http://user:hunter2@trade"},
		{"CALL_URLS": "trade=ftp://user:hunter2@trade"},
		{"KAFKA_NET_TLS_KEY": "hunter2", "KAFKA_NET_TLS_CERT": "hunter2"},
		{"KAFKA_NET_SASL_ENABLE": "true", "KAFKA_NET_SASL_PASSWORD": "hunter2"},
		{"OIDC_ISSUER": "ftp://user:hunter2@issuer"},
	} {
		vars["KAFKA_BROKERS"] = "a:1"
		environ(t, vars)
		if _, err := FromEnvironment(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v", vars, err)
		}
	}
}
