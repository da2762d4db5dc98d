package autoscaling

import (
	"fmt"
	"maps"
	"os"
	"strings"

	"knative.dev/serving/pkg/apis/autoscaling"
	serving "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"
)

// FromManifest reads the settings that a function's manifest has, with one
// trigger.
func FromManifest(path string) (Settings, error) {
	set := Settings{Name: "as in the manifests", Annotations: map[string]string{}, Triggers: 1}
	text, err := os.ReadFile(path)
	if err != nil {
		return set, fmt.Errorf("the functions' manifest: %w", err)
	}
	var manifest serving.Service
	if err := yaml.UnmarshalStrict(text, &manifest); err != nil {
		return set, fmt.Errorf("%s: %w", path, err)
	}
	template := manifest.Spec.Template
	for key, value := range template.Annotations {
		if strings.HasPrefix(key, autoscaling.GroupName) {
			set.Annotations[key] = value
		}
	}
	if limit := template.Spec.ContainerConcurrency; limit != nil {
		set.ContainerConcurrency = int(*limit)
	}
	return set, nil
}

// With returns the settings with other annotations, given as name (without
// "autoscaling.knative.dev/") and value; an empty value takes one away.
func (s Settings) With(name string, pairs ...string) Settings {
	s.Name, s.Annotations = name, maps.Clone(s.Annotations)
	for i := 0; i+1 < len(pairs); i += 2 {
		key := autoscaling.GroupName + "/" + pairs[i]
		if s.Annotations[key] = pairs[i+1]; pairs[i+1] == "" {
			delete(s.Annotations, key)
		}
	}
	return s
}

// Limited returns the settings with another containerConcurrency.
func (s Settings) Limited(requests int) Settings {
	s.ContainerConcurrency = requests
	return s
}

// Triggered returns the settings with another fixed number of triggers.
func (s Settings) Triggered(n int) Settings {
	s.Triggers, s.Keda = n, nil
	return s
}

// Lagged returns the settings with triggers that KEDA scales.
func (s Settings) Lagged(k Keda) Settings {
	s.Keda = &k
	return s
}

// Flying returns the settings with another MAX_IN_FLIGHT of the triggers.
func (s Settings) Flying(requests int) Settings {
	s.InFlight = requests
	return s
}

// Named returns the settings with another name.
func (s Settings) Named(name string) Settings {
	s.Name = name
	return s
}
