package test_test

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
)

// patience is about two minutes in all: a webhook that a load has starved is started
// again after a pause that doubles.
var patience = wait.Backoff{Duration: 200 * time.Millisecond, Factor: 1.5, Jitter: 0.1, Steps: 15}

// insist asks the API server for a change until it says yes, or no: a webhook that
// does not answer, as its pod has no core to run on, is neither.
func insist(ask func() error) error { return retry.OnError(patience, unanswered, ask) }

func unanswered(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		utilnet.IsConnectionReset(err) || utilnet.IsConnectionRefused(err) || utilnet.IsProbableEOF(err) || utilnet.IsTimeout(err)
}

// awaitKnative returns when all of Knative works: its webhooks have to answer who
// changes something.
func (w *world) awaitKnative(t *testing.T) {
	t.Helper()
	await(t, "Knative is ready", 8*time.Minute, func(ctx context.Context) (string, error) {
		for _, of := range []string{"knative-serving", "knative-eventing"} {
			all, err := w.kube.AppsV1().Deployments(of).List(ctx, metav1.ListOptions{})
			if err != nil {
				return "", err
			}
			for _, d := range all.Items {
				if d.Status.ReadyReplicas < *d.Spec.Replicas {
					return d.Name + " is not", nil
				}
			}
		}
		return "", nil
	})
}
