package autoscaling

import (
	"time"

	api "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/autoscaler/config/autoscalerconfig"
	"knative.dev/serving/pkg/reconciler/autoscaling/resources"
)

// lastPod holds Knative's rules for going to zero, after handleScaleToZero of
// its pkg/reconciler/autoscaling/kpa/scaler.go, which reads the wall clock. They
// are looked at every two seconds here; there a timer is set.
type lastPod struct {
	window, retention, grace time.Duration

	status string // as the PodAutoscaler's condition Active
	since  time.Time
	inPath time.Time // since when the activator is in the path; zero: it is not
}

const (
	inactive   = "inactive"
	activating = "activating"
	active     = "active"
)

func newLastPod(pa *api.PodAutoscaler, settings *autoscalerconfig.Config) lastPod {
	retention, ok := pa.ScaleToZeroPodRetention()
	if !ok {
		retention = settings.ScaleToZeroPodRetentionPeriod
	}
	return lastPod{window: resources.StableWindow(pa, settings), retention: retention,
		grace: settings.ScaleToZeroGracePeriod, status: inactive, since: epoch}
}

// want is how many pods there shall be, and whether that is done already.
func (l *lastPod) want(now time.Time, desired int32, ready bool) (want int32, apply bool) {
	want, apply = desired, true
	if desired == 0 {
		want, apply = l.zero(now)
	}
	switch {
	case want == 0:
		l.become(inactive, now)
	case want > 0 && ready:
		l.become(active, now)
	case want > 0:
		l.become(activating, now)
	}
	return want, apply
}

func (l *lastPod) zero(now time.Time) (want int32, apply bool) {
	lasted := now.Sub(l.since)
	switch l.status {
	case activating: // gives up after the progress deadline, which no pod here needs
		return -1, false
	case active:
		if lasted >= l.window {
			return 0, false // inactive from now on, and its pod still there
		}
		return 1, true
	default:
		if lasted >= max(l.grace, l.retention) {
			return 0, true
		}
		inPath := !l.inPath.IsZero() && now.Sub(l.inPath) >= l.grace
		return 0, lasted >= l.retention && inPath
	}
}

func (l *lastPod) become(status string, now time.Time) {
	if l.status != status {
		l.status, l.since = status, now
	}
}

// proxied notes when the activator comes into the path.
func (l *lastPod) proxied(now time.Time, in bool) {
	switch {
	case !in:
		l.inPath = time.Time{}
	case l.inPath.IsZero():
		l.inPath = now
	}
}
