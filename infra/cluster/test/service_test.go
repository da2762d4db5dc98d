package test_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	knativeServices = schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "services"}
	revisions       = schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "revisions"}
)

// asItWas holds the spec of a Knative Service that a test has changed, so that the
// next run puts it back if this one is interrupted.
const asItWas = "millrace.dev/as-it-was"

// change changes a Knative Service until the test ends.
func (w *world) change(t *testing.T, name string, by func(spec map[string]any)) {
	t.Helper()
	w.update(t, name, func(service *unstructured.Unstructured) {
		spec, _ := service.Object["spec"].(map[string]any)
		if annotations := service.GetAnnotations(); annotations[asItWas] == "" {
			text, err := json.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			annotations[asItWas] = string(text)
			service.SetAnnotations(annotations)
		}
		by(spec)
	})
}

func (w *world) update(t *testing.T, name string, by func(*unstructured.Unstructured)) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	all := w.knative.Resource(knativeServices).Namespace(namespace)
	err := insist(func() error {
		service, err := all.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		by(service)
		_, err = all.Update(ctx, service, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// restoreServices undoes what change did. Revisions that never were ready keep
// pods for ten minutes; they are deleted.
func (w *world) restoreServices(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var list *unstructured.UnstructuredList
	err := insist(func() (err error) {
		list, err = w.knative.Resource(knativeServices).Namespace(namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range list.Items {
		text, name := service.GetAnnotations()[asItWas], service.GetName()
		if text == "" {
			continue
		}
		w.update(t, name, func(service *unstructured.Unstructured) {
			var spec map[string]any
			if err := json.Unmarshal([]byte(text), &spec); err != nil {
				t.Fatal(err)
			}
			service.Object["spec"] = spec
			annotations := service.GetAnnotations()
			delete(annotations, asItWas)
			service.SetAnnotations(annotations)
		})
		w.awaitService(t, name)
		w.forget(t, name)
	}
	err = insist(func() error { return w.kube.CoreV1().Secrets(namespace).Delete(ctx, mood, metav1.DeleteOptions{}) })
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
}

// forget deletes the revisions that are not ready.
func (w *world) forget(t *testing.T, service string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	all := w.knative.Resource(revisions).Namespace(namespace)
	var list *unstructured.UnstructuredList
	err := insist(func() (err error) {
		list, err = all.List(ctx, metav1.ListOptions{LabelSelector: serviceLabel + "=" + service})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, revision := range list.Items {
		if isReady(&revision) {
			continue
		}
		err := insist(func() error { return all.Delete(ctx, revision.GetName(), metav1.DeleteOptions{}) })
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
}

// awaitService returns the newest revision, when it is ready and traffic goes as
// the spec says.
func (w *world) awaitService(t *testing.T, name string) (revision string) {
	t.Helper()
	await(t, "Knative Service "+name+" is ready", 2*time.Minute, func(ctx context.Context) (string, error) {
		service, err := w.service(ctx, name)
		if err != nil {
			return "", err
		}
		revision = text(service, "status", "latestReadyRevisionName")
		if !isReady(service) || revision != text(service, "status", "latestCreatedRevisionName") {
			return "it is not", nil
		}
		return "", nil
	})
	return revision
}

func (w *world) service(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	return w.knative.Resource(knativeServices).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
}

// isReady tells of what its controller has seen.
func isReady(object *unstructured.Unstructured) bool {
	seen, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		c, _ := c.(map[string]any)
		if c["type"] == "Ready" {
			return c["status"] == "True" && seen == object.GetGeneration()
		}
	}
	return false
}

func text(object *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(object.Object, path...)
	return s
}

// container is the function's own, in the spec of its Knative Service.
func container(spec map[string]any) map[string]any {
	containers, _, _ := unstructured.NestedSlice(spec, "template", "spec", "containers")
	c, _ := containers[0].(map[string]any)
	return c
}

// setContainer gives the function's container what it is to have.
func setContainer(spec, fields map[string]any) {
	c := container(spec)
	for name, value := range fields {
		if name == "env" {
			value = withVariable(c["env"], value)
		}
		c[name] = value
	}
	_ = unstructured.SetNestedSlice(spec, []any{c}, "template", "spec", "containers")
}

// withVariable is an environment with one more variable, or another value of it.
func withVariable(env, variable any) []any {
	all, _ := env.([]any)
	one, _ := variable.(map[string]any)
	others := slices.DeleteFunc(slices.Clone(all), func(v any) bool {
		other, _ := v.(map[string]any)
		return other["name"] == one["name"]
	})
	return append(others, variable)
}
