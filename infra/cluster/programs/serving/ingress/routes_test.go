package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

func to(service string, percent int) v1alpha1.IngressBackendSplit {
	return v1alpha1.IngressBackendSplit{IngressBackend: v1alpha1.IngressBackend{ServiceName: service}, Percent: percent}
}

func testRoutes() *routes {
	rule := func(host string, visibility v1alpha1.IngressVisibility, paths ...v1alpha1.HTTPIngressPath) v1alpha1.IngressRule {
		return v1alpha1.IngressRule{Hosts: []string{host}, Visibility: visibility, HTTP: &v1alpha1.HTTPIngressRuleValue{Paths: paths}}
	}
	r := &routes{public: map[string][]v1alpha1.HTTPIngressPath{}, all: map[string][]v1alpha1.HTTPIngressPath{}}
	r.add(&v1alpha1.Ingress{Spec: v1alpha1.IngressSpec{Rules: []v1alpha1.IngressRule{
		rule("open.test", v1alpha1.IngressVisibilityExternalIP,
			v1alpha1.HTTPIngressPath{Splits: []v1alpha1.IngressBackendSplit{to("any", 100)}},
			v1alpha1.HTTPIngressPath{
				Headers: map[string]v1alpha1.HeaderMatch{"Tag": {Exact: "blue"}},
				Splits:  []v1alpha1.IngressBackendSplit{to("blue", 0)},
			}),
		rule("inner.test", v1alpha1.IngressVisibilityClusterLocal,
			v1alpha1.HTTPIngressPath{Splits: []v1alpha1.IngressBackendSplit{to("inner", 100)}}),
	}}})
	return r
}

func TestARequestFindsItsService(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		host, tag string
		inside    bool
		want      string
	}{
		"from outside":          {host: "open.test", want: "any"},
		"with a port":           {host: "open.test:80", want: "any"},
		"by a header":           {host: "open.test", tag: "blue", want: "blue"},
		"closed to the outside": {host: "inner.test", want: ""},
		"open to the inside":    {host: "inner.test", inside: true, want: "inner"},
		"of nobody":             {host: "other.test", inside: true, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := httptest.NewRequest(http.MethodPost, "http://"+test.host+"/", nil)
			request.Header.Set("Tag", test.tag)
			got := ""
			if path := testRoutes().path(request, test.inside); path != nil {
				got = split(path).ServiceName
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestASplitIsByPercent(t *testing.T) {
	t.Parallel()
	path := &v1alpha1.HTTPIngressPath{Splits: []v1alpha1.IngressBackendSplit{to("old", 90), to("new", 10), to("none", 0)}}
	const requests = 20_000
	counts := map[string]int{}
	for range requests {
		counts[split(path).ServiceName]++
	}
	// Five standard deviations (42) around 10%.
	if n := counts["new"]; n < 1790 || n > 2210 || counts["none"] > 0 {
		t.Errorf("of %d: %v", requests, counts)
	}
}
