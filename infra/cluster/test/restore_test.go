package test_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// restore puts back what a run that was interrupted has left changed.
func (w *world) restore(t *testing.T) {
	t.Helper()
	w.relieve(t)
	w.removeStraight(t)
	w.restoreServices(t)
	w.scaleTriggers(t, 1, functions()...)
}

// scaleTriggers does by hand what KEDA does with a backlog, where it is not there
// to do it.
func (w *world) scaleTriggers(t *testing.T, replicas int32, names ...string) {
	t.Helper()
	if w.scaledByLag(t) {
		return
	}
	for _, name := range names {
		if err := w.scale(context.WithoutCancel(t.Context()), name+"-trigger", replicas); err != nil {
			t.Fatal(err)
		}
	}
	await(t, fmt.Sprintf("%d triggers of each: %s", replicas, strings.Join(names, ", ")), 2*time.Minute, func(ctx context.Context) (string, error) {
		for _, name := range names {
			d, err := w.kube.AppsV1().Deployments(namespace).Get(ctx, name+"-trigger", metav1.GetOptions{})
			if err != nil || !settled(d) {
				return d.Name, err
			}
		}
		return "", nil
	})
}

func settled(d *appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	return d.Status.ObservedGeneration == d.Generation && d.Status.ReadyReplicas == want && d.Status.Replicas == want
}

func (w *world) scale(ctx context.Context, deployment string, replicas int32) error {
	deployments := w.kube.AppsV1().Deployments(namespace)
	return insist(func() error {
		scale, err := deployments.GetScale(ctx, deployment, metav1.GetOptions{})
		if err != nil || scale.Spec.Replicas == replicas {
			return err
		}
		scale.Spec.Replicas = replicas
		_, err = deployments.UpdateScale(ctx, deployment, scale, metav1.UpdateOptions{})
		return err
	})
}

func (w *world) scaledByLag(t *testing.T) bool {
	t.Helper()
	objects := schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
	var list *unstructured.UnstructuredList
	err := insist(func() (err error) {
		list, err = w.knative.Resource(objects).Namespace(namespace).List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil && len(list.Items) > 0
}
