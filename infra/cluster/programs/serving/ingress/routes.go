package main

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

// routes are the rules by host: those for everybody, and those for the cluster.
type routes struct {
	public, all map[string][]v1alpha1.HTTPIngressPath
}

func (c *cluster) rebuild() {
	ingresses, err := c.ingresses.List(labels.Everything())
	if err != nil {
		slog.Error("listing what is cached", "error", err)
		return
	}
	next := &routes{public: map[string][]v1alpha1.HTTPIngressPath{}, all: map[string][]v1alpha1.HTTPIngressPath{}}
	for _, ingress := range ingresses {
		if ingress.Annotations[networking.IngressClassAnnotationKey] == class {
			next.add(ingress)
		}
	}
	c.routes.Store(next)
}

func (r *routes) add(ingress *v1alpha1.Ingress) {
	for _, rule := range ingress.Spec.Rules {
		for _, host := range rule.Hosts {
			r.all[host] = rule.HTTP.Paths
			if rule.Visibility != v1alpha1.IngressVisibilityClusterLocal {
				r.public[host] = rule.HTTP.Paths
			}
		}
	}
}

// path finds the one that a request takes: one that asks for headers comes before
// one that does not.
func (r *routes) path(request *http.Request, inside bool) *v1alpha1.HTTPIngressPath {
	hosts := r.public
	if inside {
		hosts = r.all
	}
	host, _, _ := strings.Cut(request.Host, ":")
	var found *v1alpha1.HTTPIngressPath
	for i := range hosts[host] {
		path := &hosts[host][i]
		if matches(path, request) && (found == nil || len(path.Headers) > len(found.Headers)) {
			found = path
		}
	}
	return found
}

func matches(path *v1alpha1.HTTPIngressPath, request *http.Request) bool {
	for name, match := range path.Headers {
		if request.Header.Get(name) != match.Exact {
			return false
		}
	}
	return strings.HasPrefix(request.URL.Path, path.Path)
}

// split chooses by percent. One alone may leave its percent out.
func split(path *v1alpha1.HTTPIngressPath) *v1alpha1.IngressBackendSplit {
	if len(path.Splits) == 1 {
		return &path.Splits[0]
	}
	n := rand.IntN(100)
	for i := range path.Splits {
		if n -= path.Splits[i].Percent; n < 0 {
			return &path.Splits[i]
		}
	}
	return &path.Splits[len(path.Splits)-1]
}
