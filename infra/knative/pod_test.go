package knative

import (
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/autoscaling"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// queueDrain is for how long Knative's queue-proxy goes on before it lets the
// process have its SIGTERM: drainSleepDuration in serving's
// pkg/queue/sharedmain/main.go.
const queueDrain = 30 * time.Second

// pod is what a Knative Service, a Deployment and a CronJob have in common.
type pod struct {
	name, part, namespace string
	labels                map[string]string
	spec                  corev1.PodSpec
	most                  int               // pods at once, of one revision
	grace                 time.Duration     // from the pod's end to the kernel's kill
	before                time.Duration     // of that, until the process has SIGTERM
	injected              map[string]string // what Knative adds to the environment
	ends                  bool              // it does one thing and ends: nobody asks it anything
}

func pods(m manifests) (of []pod) {
	for _, s := range all[*servingv1.Service](m) {
		template := s.Spec.Template
		p := pod{
			name: describe("Service", s.Name), part: template.Labels[labelPart], namespace: s.Namespace,
			labels: withLabel(template.Labels, "serving.knative.dev/service", s.Name), spec: template.Spec.PodSpec, before: queueDrain,
			injected: map[string]string{"K_SERVICE": s.Name},
		}
		// Without the annotation there may be any number.
		p.most = number(template.Annotations[autoscaling.MaxScaleAnnotationKey], 1<<30)
		if seconds := template.Spec.TimeoutSeconds; seconds != nil {
			p.grace = time.Duration(*seconds) * time.Second
		}
		of = append(of, p)
	}
	for _, d := range all[*appsv1.Deployment](m) {
		template := d.Spec.Template
		p := pod{
			name: describe("Deployment", d.Name), part: template.Labels[labelPart], namespace: d.Namespace,
			labels: template.Labels, spec: template.Spec,
			injected: map[string]string{},
		}
		if sink := sinkOf(m, d.Name); sink != "" {
			p.injected["K_SINK"] = sink
		}
		switch scaled, ok := scaledObject(m, d.Name); {
		case ok:
			p.most = scaled.most
		case d.Spec.Replicas != nil:
			p.most = int(*d.Spec.Replicas)
		}
		if seconds := template.Spec.TerminationGracePeriodSeconds; seconds != nil {
			p.grace = time.Duration(*seconds) * time.Second
		}
		of = append(of, p)
	}
	for _, c := range all[*batchv1.CronJob](m) {
		p := ending(c, c.Spec.JobTemplate.Spec.Template)
		if c.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent {
			p.most = 1 << 30
		}
		of = append(of, p)
	}
	for _, j := range all[*batchv1.Job](m) {
		of = append(of, ending(j, j.Spec.Template))
	}
	return of
}

// ending is a pod that does one thing.
func ending(of metav1.Object, template corev1.PodTemplateSpec) pod {
	p := pod{
		name: title(of), part: template.Labels[labelPart], namespace: of.GetNamespace(),
		labels: template.Labels, spec: template.Spec, injected: map[string]string{}, ends: true, most: 1,
	}
	if seconds := template.Spec.TerminationGracePeriodSeconds; seconds != nil {
		p.grace = time.Duration(*seconds) * time.Second
	}
	return p
}

// withLabel adds one that Knative sets.
func withLabel(labels map[string]string, name, value string) map[string]string {
	labels = maps.Clone(labels)
	labels[name] = value
	return labels
}

const labelPart = "millrace.dev/part"

func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}

// container is the only one; checkPods says if there are more.
func (p pod) container() corev1.Container {
	if len(p.spec.Containers) == 0 {
		return corev1.Container{}
	}
	return p.spec.Containers[0]
}

// settings are those that the process will have; the zero value if it could not
// read them, which checkSettings says.
func (p pod) settings(m manifests) settings {
	environment, _ := p.environment(m)
	s, _ := parts[p.part].settings(environment)
	return s
}
