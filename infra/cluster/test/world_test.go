package test_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/views"
)

const namespace = "millrace"

// world is a cluster with Millrace on it, and the ways in.
type world struct {
	kube    kubernetes.Interface
	knative dynamic.Interface
	http    *http.Client // reaches Services by the names that they have in the cluster
	pool    *pgxpool.Pool
	redis   redis.UniversalClient
	brokers []string
	config  map[string]string // Millrace's ConfigMap
}

var connected = sync.OnceValues(connect)

// join returns the world when nothing is on its way in it.
func join(t *testing.T) *world {
	t.Helper()
	w := look(t)
	w.awaitKnative(t)
	w.restore(t)
	w.settle(t)
	return w
}

// look returns the world as it is, for those who change nothing in it.
func look(t *testing.T) *world {
	t.Helper()
	w, err := connected()
	if err != nil {
		t.Fatalf("NOT TESTED: there is no cluster with Millrace on it: %v (go tool task cluster:up cluster:deploy; docs/cluster.md)", err)
	}
	return w
}

func connect() (*world, error) {
	file := os.Getenv("KUBECONFIG")
	if file == "" {
		file = filepath.Join("..", "..", "..", ".millrace", "cluster", "kubeconfig")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 200
	w, err := newWorld(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return w, w.openStores(ctx)
}

func newWorld(config *rest.Config) (*world, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	knative, err := dynamic.NewForConfig(config)
	w := &world{kube: kube, knative: knative}
	// Each request connects anew: a connection that is kept holds to the pod that it
	// found, whatever the cluster does meanwhile.
	w.http = &http.Client{Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true}}
	return w, err
}

// openStores reads where the stores are, as the pods do, unless the environment
// says how to reach them from here.
func (w *world) openStores(ctx context.Context) error {
	config, err := w.kube.CoreV1().ConfigMaps(namespace).Get(ctx, "millrace", metav1.GetOptions{})
	if err != nil {
		return err
	}
	secret, err := w.kube.CoreV1().Secrets(namespace).Get(ctx, "millrace", metav1.GetOptions{})
	if err != nil {
		return err
	}
	w.config = config.Data
	for name, value := range map[string]string{
		"KAFKA_BROKERS": config.Data["KAFKA_BROKERS"],
		"DATABASE_URL":  string(secret.Data["DATABASE_URL"]), "REDIS_URL": string(secret.Data["REDIS_URL"]),
	} {
		if err := w.openStore(ctx, name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (w *world) openStore(ctx context.Context, name, value string) (err error) {
	given := os.Getenv(name)
	switch {
	case given != "":
		value = given
	case name == "KAFKA_BROKERS":
		value, err = w.reachAll(ctx, value)
	default:
		value, err = w.reach(ctx, value)
	}
	if err != nil {
		return err
	}
	switch name {
	case "KAFKA_BROKERS":
		w.brokers = splitList(value)
	case "DATABASE_URL":
		if w.pool, err = pgxpool.New(ctx, value); err == nil {
			err = w.pool.Ping(ctx)
		}
	case "REDIS_URL":
		w.redis, err = views.Open(ctx, value)
	}
	return err
}

// functions are the families, each a Knative Service.
func functions() []string { return topics.Functions() }

// await polls until done says that nothing is missing any more.
func await(t *testing.T, what string, deadline time.Duration, missing func(context.Context) (string, error)) {
	t.Helper()
	began := time.Now()
	// It is used for cleaning up too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), deadline)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		left, err := missing(ctx)
		switch {
		case err == nil && left == "":
			t.Logf("%s: after %s", what, time.Since(began).Round(10*time.Millisecond))
			return
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			last = err.Error()
		case err == nil:
			last = left
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s; at last: %s", what, deadline, last)
		case <-tick.C:
		}
	}
}
