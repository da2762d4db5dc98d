package knative

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/platform"
)

// loaded is all of Knative, from the module cache.
func loaded(t *testing.T) []object {
	t.Helper()
	root, err := platform.FindRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	all, err := load(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryImageOfAPodIsOneThatIsBuilt(t *testing.T) {
	t.Parallel()
	all := loaded(t)
	refs := references{}
	for _, path := range wanted(all) {
		refs[path] = "dev.local/" + path + ":built"
	}
	for line := range strings.Lines(string(refs.text(all))) {
		if strings.Contains(line, "image: ko://") || strings.Contains(line, "queue-sidecar-image: ko://") {
			t.Errorf("nobody builds %s", strings.TrimSpace(line))
		}
	}
}

func TestKnativeLeavesTheCoresToOthers(t *testing.T) {
	t.Parallel()
	all := loaded(t)
	deployments := slices.DeleteFunc(slices.Clone(all), func(o object) bool { return o.Kind() != "Deployment" })
	if len(deployments) < 10 {
		t.Errorf("only %d Deployments", len(deployments))
	}
	sum := 0 // of millicores
	for _, o := range deployments {
		containers, _ := o.At("spec", "template", "spec")["containers"].([]any)
		for _, c := range containers {
			fields, _ := c.(map[string]any)
			text, _ := object(fields).At("resources", "requests")["cpu"].(string)
			cpu, err := strconv.Atoi(strings.TrimSuffix(text, "m"))
			if err != nil {
				t.Fatalf("%s asks for %q: %v", o.Name(), text, err)
			}
			sum += cpu
		}
	}
	if sum > 500 {
		t.Errorf("Knative asks for %dm", sum)
	}
}

// One that has other names would be asked in vain on a busy machine.
func TestWhoAnswersTheAPIServerHasCPU(t *testing.T) {
	t.Parallel()
	all := loaded(t)
	for _, name := range answersAPI {
		if !slices.ContainsFunc(all, func(o object) bool { return o.Kind() == "Deployment" && o.Name() == name }) {
			t.Errorf("there is no Deployment %s", name)
		}
	}
}

func TestKnativeIsToldWhoItsNetworkingLayerIs(t *testing.T) {
	t.Parallel()
	for _, o := range loaded(t) {
		if o.Kind() == "ConfigMap" && o.Name() == "config-network" {
			if got := o.At("data")["ingress-class"]; got != "millrace-test.ingress.networking.knative.dev" {
				t.Errorf("ingress-class %v", got)
			}
			return
		}
	}
	t.Error("there is no ConfigMap config-network")
}
