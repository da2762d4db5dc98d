package knative

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// errNotThere says that a variable is not set, and need not be.
var errNotThere = errors.New("the manifests do not have it, and it is optional")

// environment is what the process is told, with the values that it has in a
// cluster as far as the manifests say.
func (p pod) environment(m manifests) (environment map[string]string, errs []error) {
	environment = maps.Clone(p.injected)
	for _, from := range p.container().EnvFrom {
		data, err := bulk(m, from)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		maps.Copy(environment, data)
	}
	for _, v := range p.container().Env {
		value, err := p.value(m, v)
		if errors.Is(err, errNotThere) {
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", p.name, v.Name, err))
			continue
		}
		environment[v.Name] = value
	}
	return environment, errs
}

func (p pod) value(m manifests, v corev1.EnvVar) (string, error) {
	switch from := v.ValueFrom; {
	case from == nil:
		return v.Value, nil
	case from.ConfigMapKeyRef != nil:
		configMap, _ := find[*corev1.ConfigMap](m, from.ConfigMapKeyRef.Name)
		if configMap == nil && from.ConfigMapKeyRef.Optional != nil && *from.ConfigMapKeyRef.Optional {
			return "", errNotThere
		}
		if configMap == nil {
			return "", fmt.Errorf("there is no ConfigMap %s", from.ConfigMapKeyRef.Name)
		}
		return key(configMap.Data, describe("ConfigMap", configMap.Name), from.ConfigMapKeyRef.Key)
	case from.SecretKeyRef != nil:
		if secret, ok := find[*corev1.Secret](m, from.SecretKeyRef.Name); ok {
			return key(secret.StringData, describe("Secret", secret.Name), from.SecretKeyRef.Key)
		}
		return key(documentedSecret(from.SecretKeyRef.Name), "the Secret of docs/knative.md", from.SecretKeyRef.Key)
	case from.FieldRef != nil:
		return p.field(from.FieldRef.FieldPath)
	}
	return "", errors.New("its source is not known here")
}

// bulk is what a whole Secret puts into the environment.
func bulk(m manifests, from corev1.EnvFromSource) (map[string]string, error) {
	if from.SecretRef == nil {
		return nil, errors.New("envFrom: only a Secret is known here")
	}
	if secret, ok := find[*corev1.Secret](m, from.SecretRef.Name); ok {
		return secret.StringData, nil
	}
	data := documentedSecret(from.SecretRef.Name)
	if len(data) == 0 {
		return nil, fmt.Errorf("docs/knative.md does not tell how to make Secret %s", from.SecretRef.Name)
	}
	return data, nil
}

func key(data map[string]string, of, name string) (string, error) {
	if value, ok := data[name]; ok {
		return value, nil
	}
	return "", fmt.Errorf("%s has no key %s", of, name)
}

func (p pod) field(path string) (string, error) {
	if path == "metadata.namespace" {
		return p.namespace, nil
	}
	label := strings.TrimSuffix(strings.TrimPrefix(path, "metadata.labels['"), "']")
	return key(p.labels, "the pod's labels", label)
}

// documentedSecret is the Secret that docs/knative.md tells to make where the
// manifests have none.
func documentedSecret(name string) map[string]string {
	data := map[string]string{}
	for _, literal := range regexp.MustCompile(`--from-literal=(\w+)='([^']*)'`).FindAllStringSubmatch(command(name), -1) {
		data[literal[1]] = literal[2]
	}
	return data
}

// documented reports whether that Secret has a key, with a value or from a file.
func documented(name, key string) bool {
	return regexp.MustCompile(`--from-(literal|file)=` + key + `=`).MatchString(command(name))
}

// command is the one that makes a Secret.
func command(secret string) string {
	_, command, _ := strings.Cut(documentation(), "create secret generic "+secret+" ")
	command, _, _ = strings.Cut(command, "\n\n")
	return command
}

var documentation = sync.OnceValue(func() string {
	text, err := os.ReadFile("../../docs/knative.md")
	if err != nil {
		panic(err)
	}
	return string(text)
})
