package knative

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	strimzi "github.com/scholzj/strimzi-go/pkg/apis/kafka.strimzi.io/v1beta2"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestStores(t *testing.T) {
	t.Parallel()
	if err := checkStores(build(t, stores), build(t, production)); err != nil {
		t.Error(err)
	}
}

// checkStores holds the stores to themselves, and to the overlay that uses them.
func checkStores(text, users string) error {
	m, err := decode(text)
	if err != nil {
		return err
	}
	processes, err := decode(users)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range []func(manifests) []error{checkNamespace, checkBudgets, checkPolicies, checkPriorities, checkRedis, checkPostgres, checkKafka} {
		errs = append(errs, c(m)...)
	}
	return errors.Join(append(append(errs, checkAddresses(m, processes)...), checkPooler(m, processes)...)...)
}

// storePods are the pods that operators and StatefulSets make.
func storePods(m manifests) (of []budgeted) {
	for _, s := range all[*appsv1.StatefulSet](m) {
		of = append(of, budgeted{title(s), s.Spec.Template.Labels, int(*s.Spec.Replicas)})
	}
	for _, c := range all[*batchv1.CronJob](m) {
		if template := c.Spec.JobTemplate.Spec.Template; template.Labels[labelPart] == "" {
			of = append(of, budgeted{title(c), template.Labels, 0})
		}
	}
	for _, u := range custom(m, "Pooler") {
		of = append(of, budgeted{title(u), map[string]string{"cnpg.io/poolerName": u.GetName()}, 1})
	}
	for _, u := range custom(m, "Cluster") {
		of = append(of, budgeted{title(u), map[string]string{"cnpg.io/cluster": u.GetName(), "cnpg.io/podRole": "instance"}, 1})
	}
	return of
}

// checkPriorities finds stores that others could take the place of.
func checkPriorities(m manifests) (errs []error) {
	name := "millrace-stores"
	if _, ok := find[*schedulingv1.PriorityClass](m, name); !ok {
		errs = append(errs, errors.New("there is no PriorityClass "+name))
	}
	has := func(of metav1.Object, class string) {
		if class != name {
			errs = append(errs, fmt.Errorf("%s has priority class %q", title(of), class))
		}
	}
	for _, s := range all[*appsv1.StatefulSet](m) {
		has(s, s.Spec.Template.Spec.PriorityClassName)
	}
	for _, p := range all[*strimzi.KafkaNodePool](m) {
		has(p, p.Spec.Template.Pod.PriorityClassName)
	}
	for _, u := range custom(m, "Cluster") {
		has(u, text(u, "spec", "priorityClassName"))
	}
	for _, u := range custom(m, "Pooler") {
		has(u, text(u, "spec", "template", "spec", "priorityClassName"))
	}
	return errs
}

// checkRedis holds the StatefulSet, its Service and what joins the pods together.
func checkRedis(m manifests) (errs []error) {
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("Redis: "+format, args...)) }
	set, ok := find[*appsv1.StatefulSet](m, "redis")
	service, ok2 := find[*corev1.Service](m, "redis")
	join, ok3 := find[*batchv1.CronJob](m, "redis-join")
	if !ok || !ok2 || !ok3 {
		return []error{errors.New("Redis: a StatefulSet, a Service or a CronJob is missing")}
	}
	if set.Spec.ServiceName != service.Name || !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(set.Spec.Template.Labels)) {
		fault("the Service is not that of the pods")
	}
	var nodes []string
	for n := range *set.Spec.Replicas {
		nodes = append(nodes, fmt.Sprintf("%s-%d.%s:6379", set.Name, n, service.Name))
	}
	container := join.Spec.JobTemplate.Spec.Template.Spec.Containers[0]
	if got := container.Env[0].Value; got != strings.Join(nodes, " ") || *set.Spec.Replicas != 6 {
		fault("three masters with a replica each are joined as %s, want %s", got, nodes)
	}
	for _, p := range []corev1.PodSpec{set.Spec.Template.Spec, join.Spec.JobTemplate.Spec.Template.Spec} {
		if !equality.Semantic.DeepEqual(p.Containers[0].SecurityContext, narrowest()) || !isFalse(p.AutomountServiceAccountToken) {
			fault("%s is not the narrowest", p.Containers[0].Name)
		}
		if _, ok := find[*corev1.ConfigMap](m, p.Volumes[0].ConfigMap.Name); !ok {
			fault("there is no ConfigMap %s", p.Volumes[0].ConfigMap.Name)
		}
	}
	return errs
}

// checkAddresses holds where the processes look for the stores, in the ConfigMap
// and in docs/knative.md, to the Services that there will be.
func checkAddresses(m, processes manifests) (errs []error) {
	services := map[string]bool{"redis:6379": true, "postgres-rw:5432": len(custom(m, "Cluster")) == 1}
	for _, u := range custom(m, "Pooler") {
		services[u.GetName()+":5432"] = true
	}
	for _, k := range all[*strimzi.Kafka](m) {
		for _, l := range k.Spec.Kafka.Listeners {
			services[fmt.Sprintf("%s-kafka-bootstrap:%d", k.Name, l.Port)] = true
		}
	}
	is := func(what, host string) {
		name, rest, _ := strings.Cut(host, ".")
		_, port, _ := strings.Cut(rest, ":")
		if !strings.HasPrefix(rest, "millrace-stores.svc") || !services[name+":"+port] {
			errs = append(errs, fmt.Errorf("%s is %s, and the stores have %v", what, host, services))
		}
	}
	configMap, _ := find[*corev1.ConfigMap](processes, "millrace")
	is("KAFKA_BROKERS", configMap.Data["KAFKA_BROKERS"])
	for _, key := range []string{"DATABASE_URL", "DATABASE_URL_DIRECT", "REDIS_URL"} {
		u, err := url.Parse(documentedSecret("millrace")[key])
		if err != nil {
			return append(errs, err)
		}
		is(key+" in docs/knative.md", u.Host)
	}
	return errs
}
