//go:build knative

package kafka

import (
	"reflect"
	"testing"
	"time"

	"github.com/kelseyhightower/envconfig"
	"knative.dev/eventing/pkg/adapter/v2"
)

// What Knative's own adapter reads of its environment, Config reads alike. Not
// part of the usual tests: the adapter takes minutes to build.
func TestConfigAsTheAdapter(t *testing.T) {
	vars := map[string]string{
		adapter.EnvConfigSink: "http://sink.default.svc", adapter.EnvConfigNamespace: "default", adapter.EnvConfigName: "trades",
		adapter.EnvConfigCEOverrides: `{"extensions":{"tier":"gold"}}`, adapter.EnvSinkTimeout: "7",
		"KAFKA_BROKERS": "a:1", "KAFKA_TOPICS": "t",
	}
	environ(t, vars)
	var want adapter.EnvConfig
	if err := envconfig.Process("", &want); err != nil {
		t.Fatal(err)
	}
	got, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if got.Sink != want.GetSink() || got.Namespace != want.GetNamespace() || got.Name != want.GetName() || int(time.Duration(got.SinkTimeout).Seconds()) != want.GetSinktimeout() {
		t.Errorf("got %+v, want %+v", got, want)
	}
	overrides, err := got.overrides()
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := want.GetCloudEventOverrides(); err != nil || !reflect.DeepEqual(overrides, theirs.Extensions) {
		t.Errorf("overrides %v, want %v, %v", overrides, theirs, err)
	}
	for name, unsupported := range map[string]string{adapter.EnvConfigAudience: "me", adapter.EnvConfigCACert: "no certificate"} {
		t.Setenv(name, unsupported)
		if _, err := FromEnvironment(); err == nil {
			t.Errorf("%s=%s is taken", name, unsupported)
		}
		environ(t, vars)
	}
}
