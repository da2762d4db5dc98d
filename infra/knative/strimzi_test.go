package knative

import (
	"errors"
	"fmt"
	"strings"

	strimzi "github.com/scholzj/strimzi-go/pkg/apis/kafka.strimzi.io/v1beta2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/infra/topics"
)

// checkKafka holds Kafka to what docs/guarantees.md asks of it, and all that belongs
// to it to its name.
func checkKafka(m manifests) (errs []error) {
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("Kafka: "+format, args...)) }
	kafkas := all[*strimzi.Kafka](m)
	if len(kafkas) != 1 {
		return []error{errors.New("Kafka: there is not one")}
	}
	k := kafkas[0]
	brokers := 0
	belongs := func(object metav1.Object) {
		if object.GetLabels()["strimzi.io/cluster"] != k.Name {
			fault("%s is of another", title(object))
		}
	}
	for _, p := range all[*strimzi.KafkaNodePool](m) {
		belongs(p)
		brokers += int(p.Spec.Replicas)
	}
	for _, t := range all[*strimzi.KafkaTopic](m) {
		belongs(t)
	}
	for _, u := range all[*strimzi.KafkaUser](m) {
		belongs(u)
		if !readsGroups(u) {
			fault("%s may not read in every consumer group", title(u))
		}
	}
	if brokers < topics.ReplicationFactor {
		fault("%d brokers, want %d", brokers, topics.ReplicationFactor)
	}
	for key, want := range map[string]any{
		"default.replication.factor": topics.ReplicationFactor, "offsets.topic.replication.factor": topics.ReplicationFactor,
		"transaction.state.log.replication.factor": topics.ReplicationFactor, "min.insync.replicas": topics.MinInSyncReplicas,
		"unclean.leader.election.enable": false, "auto.create.topics.enable": false,
	} {
		if got := k.Spec.Kafka.Config[key]; fmt.Sprint(got) != fmt.Sprint(want) {
			fault("%s is %v, want %v", key, got, want)
		}
	}
	return errs
}

func readsGroups(u *strimzi.KafkaUser) bool {
	for _, family := range topics.Functions() {
		may := false
		for _, acl := range u.Spec.Authorization.Acls {
			may = may || string(acl.Resource.Type) == "group" && strings.HasPrefix("millrace-"+topics.Events(family), acl.Resource.Name)
		}
		if !may {
			return false
		}
	}
	return true
}
