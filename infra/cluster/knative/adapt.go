package knative

import (
	"slices"

	"github.com/millrace/millrace/infra/cluster/resources"
)

// left are resources that the test cluster does without.
var left = []string{
	"Deployment/job-sink", "Deployment/request-reply", "StatefulSet/request-reply",
	"Service/job-sink", "Service/request-reply",
}

// configuration is what we set in Knative's own ConfigMaps.
var configuration = map[string]map[string]string{
	"config-network":    {"ingress-class": "millrace-test.ingress.networking.knative.dev"},
	"config-domain":     {"millrace.test": ""},
	"config-autoscaler": {"scale-to-zero-grace-period": "10s", "stable-window": "20s"},
}

// adapt makes Knative small: one machine is a node and a developer's machine.
func adapt(all []object) []object {
	all = slices.DeleteFunc(all, func(o object) bool {
		return o.Kind() == "HorizontalPodAutoscaler" || o.Kind() == "PodDisruptionBudget" || o.Kind() == "Image" ||
			slices.Contains(left, o.Kind()+"/"+o.Name())
	})
	for _, o := range all {
		switch o.Kind() {
		case "Deployment":
			freeCPU(o)
		case "ConfigMap":
			for key, value := range configuration[o.Name()] {
				o.At("data")[key] = value
			}
		}
	}
	return all
}

// answersAPI are the Deployments that the API server asks before it takes a resource.
// While they get no CPU, nothing of Knative can be written, and they fail their probes.
var answersAPI = []string{"webhook", "eventing-webhook", "imc-controller"}

// freeCPU lets Knative's own pods ask for hardly any: two cores would be spoken for
// before the first function. Who asks for nothing asks for its limit.
func freeCPU(deployment object) {
	cpu := "10m"
	if slices.Contains(answersAPI, deployment.Name()) {
		cpu = "100m"
	}
	containers, _ := deployment.At("spec", "template", "spec")["containers"].([]any)
	for _, container := range containers {
		fields, _ := container.(map[string]any)
		object(fields).At("resources", "requests")["cpu"] = cpu
	}
}

// wanted are the programs that resources name as images.
func wanted(all []object) []string {
	out := []string{ingressProgram}
	for _, o := range all {
		if o.Kind() != "Deployment" && o.Name() != "config-deployment" {
			continue
		}
		for _, found := range program.FindAllStringSubmatch(string(resources.Text(o)), -1) {
			if !slices.Contains(notBuilt, found[1]) && !slices.Contains(out, found[1]) {
				out = append(out, found[1])
			}
		}
	}
	return out
}

// ingressProgram is built with Serving's.
const ingressProgram = servingModule + "/ingress"

// notBuilt are programs of sources that nobody uses here.
var notBuilt = []string{"knative.dev/eventing/cmd/apiserver_receive_adapter", "knative.dev/eventing/cmd/auth_proxy"}
