package autoscaling

import (
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	api "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/autoscaler/config"
	"knative.dev/serving/pkg/autoscaler/config/autoscalerconfig"
	"knative.dev/serving/pkg/autoscaler/metrics"
	"knative.dev/serving/pkg/autoscaler/scaling"
	kpa "knative.dev/serving/pkg/reconciler/autoscaling/kpa/resources"
	"knative.dev/serving/pkg/reconciler/autoscaling/resources"
)

// The periods of Knative's scraper and of its autoscaler, which are constants
// there: pkg/autoscaler/metrics/collector.go, pkg/autoscaler/scaling/multiscaler.go.
const (
	scrapePeriod = time.Second
	tickPeriod   = 2 * time.Second
)

// knative is Knative's autoscaler for one revision, in virtual time.
type knative struct {
	clock   *clock
	service *service
	measure *measure

	revision  types.NamespacedName
	settings  *autoscalerconfig.Config
	pa        *api.PodAutoscaler
	collector *metrics.MetricCollector
	decider   *scaling.Decider
	scaler    scaling.UniScaler
	last      lastPod
	desired   int32 // what the autoscaler said last
}

// newKnative makes what Knative makes of a revision's annotations.
func newKnative(c *clock, s *service, m *measure, set Settings) (*knative, error) {
	settings, err := config.NewConfigFromMap(nil) // Knative's defaults
	if err != nil {
		return nil, fmt.Errorf("Knative's defaults: %w", err)
	}
	k := &knative{clock: c, service: s, measure: m, settings: settings,
		revision: types.NamespacedName{Namespace: "millrace", Name: "trade-00001"}}
	k.pa = &api.PodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.revision.Namespace, Name: k.revision.Name, Annotations: set.Annotations},
		Spec:       api.PodAutoscalerSpec{ContainerConcurrency: int64(set.ContainerConcurrency)},
	}
	k.decider = kpa.MakeDecider(k.pa, settings)
	// Nothing to scrape: this simulation records what a scrape would bring.
	none := func(*api.Metric, *zap.SugaredLogger) (metrics.StatsScraper, error) { return nil, nil } //nolint:nilnil // as Knative has it for no target
	k.collector = metrics.NewMetricCollector(none, zap.NewNop().Sugar())
	target := k.revision.Name
	if k.decider.Spec.TargetBurstCapacity == -1 {
		target = "" // as kpa.go: the activator tells all, and no data means no requests
	}
	if err := k.collector.CreateOrUpdate(resources.MakeMetric(k.pa, target, settings)); err != nil {
		return nil, fmt.Errorf("metric: %w", err)
	}
	k.scaler = scaling.New(attribute.Set{}, noop.NewMeterProvider(), k.revision.Namespace, k.revision.Name, k.collector, k, &k.decider.Spec)
	k.last = newLastPod(k.pa, settings)
	return k, nil
}

func (k *knative) start() {
	k.service.proxied = true
	k.service.woken = k.poke
	k.clock.every(scrapePeriod, k.scrape)
	k.clock.every(tickPeriod, k.tick)
}

func (k *knative) close() {
	k.collector.Delete(k.revision.Namespace, k.revision.Name)
	k.scaler.OnDelete()
}

// ReadyCount is what the autoscaler asks for.
func (k *knative) ReadyCount() (int, error) { return len(k.service.ready), nil }

// NotReadyCount is for the interface; the autoscaler does not ask.
func (k *knative) NotReadyCount() (int, error) {
	return k.service.replicas() - len(k.service.ready), nil
}

// scrape records what the pods, or the activator, tell each second. Without a
// pod and without a request nobody tells anything.
func (k *knative) scrape() {
	concurrency, requests := k.service.scrape(scrapePeriod)
	if len(k.service.ready) > 0 || concurrency > 0 || requests > 0 {
		k.record(concurrency, requests)
	}
}

func (k *knative) record(concurrency, requests float64) {
	k.collector.Record(k.revision, k.clock.time(), metrics.Stat{AverageConcurrentRequests: concurrency, RequestCount: requests})
}

// poke is the activator's first request at zero pods: it reports one request at
// once, and the autoscaler decides at once.
func (k *knative) poke() {
	if k.desired == 0 {
		k.record(1, 1)
		k.tick()
	}
}

// tick lets the autoscaler decide, and does what Knative's reconciler makes of it.
func (k *knative) tick() {
	result := k.scaler.Scale(zap.NewNop().Sugar(), k.clock.time())
	if result.ScaleValid {
		k.desired = result.DesiredPodCount
		k.decider.Status.ExcessBurstCapacity = result.ExcessBurstCapacity
	}
	lowest, highest := k.pa.ScaleBounds(k.settings)
	want := max(k.desired, lowest)
	if highest > 0 {
		want = min(want, highest)
	}
	want, apply := k.last.want(k.clock.time(), want, len(k.service.ready) > 0)
	if apply {
		k.service.scale(int(want))
	}
	k.service.proxied = want <= 0 || k.decider.Status.ExcessBurstCapacity < 0
	k.last.proxied(k.clock.time(), k.service.proxied)
}
