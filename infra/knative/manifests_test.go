package knative

import (
	"errors"
	"strings"
	"testing"
)

func TestManifests(t *testing.T) {
	t.Parallel()
	for _, overlay := range []string{batchTrigger, kafkaSource, production} {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			if err := check(build(t, overlay)); err != nil {
				t.Error(err)
			}
		})
	}
}

// rules are those of who may call http-subscriber.
const rules = `  ingress:
  - from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: knative-eventing
      podSelector:
        matchLabels:
          app: kafka-broker-dispatcher
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: knative-eventing
      podSelector:
        matchLabels:
          eventing.knative.dev/brokerRole: filter
    ports:
    - port: 8080
      protocol: TCP
`

// A check that finds nothing has to be seen to find something.
func TestBrokenManifests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ what, overlay, from, to, want string }{
		// Types.
		{"a field that the type has not", batchTrigger, "containerConcurrency: 0", "containerConcurency: 0", `unknown field "spec.template.spec.containerConcurency"`},
		{"a field twice", batchTrigger, "  enableServiceLinks: false", "  enableServiceLinks: false\n      enableServiceLinks: false", "already set"},
		{"a field of another case", batchTrigger, "timeoutSeconds: 90", "TimeoutSeconds: 90", `unknown field "spec.template.spec.TimeoutSeconds"`},
		{"a version that Knative does not serve", batchTrigger, "serving.knative.dev/v1\nkind: Service", "serving.knative.dev/v1beta1\nkind: Service", "no type is known"},
		{"a KafkaSource with an unknown field", kafkaSource, "initialOffset: earliest", "initialOffsets: earliest", `unknown field "spec.initialOffsets"`},
		{"a Deployment that selects other pods", batchTrigger, "matchLabels:\n      millrace.dev/trigger: agent", "matchLabels:\n      millrace.dev/trigger: trade", "selector does not select"},

		// What Knative's webhook refuses.
		{"an autoscaling annotation that is no number", batchTrigger, `max-scale: "3"`, `max-scale: many`, "max-scale"},
		{"a metric that its class has not", batchTrigger, "metric: concurrency", "metric: memory", "memory"},
		{"a window out of range", batchTrigger, "window: 20s", "window: 2h", "window"},
		{"a timeout above the cluster's", batchTrigger, "timeoutSeconds: 600", "timeoutSeconds: 601", "601"},
		{"a field that Knative does not let through", batchTrigger, "enableServiceLinks: false", "hostNetwork: true", "hostNetwork"},
		{"a variable that is Knative's own", batchTrigger, "name: DATABASE_MAX_CONNS", "name: K_SERVICE", "K_SERVICE"},
		{"a schedule that cron cannot read", batchTrigger, "schedule: '* * * * *'", "schedule: '* * * *'", "schedule"},
		{"a backoff that is no duration", batchTrigger, "backoffDelay: PT0.5S", "backoffDelay: 500ms", "backoffDelay"},
		{"a Trigger without a subscriber", batchTrigger, "  subscriber:\n    ref:\n      apiVersion: v1\n      kind: Service\n      name: http-subscriber\n", "  subscriber: {}\n", "subscriber"},
		{"a SinkBinding without a subject", batchTrigger, "    name: agent-trigger\n", "", "subject.name"},
		{"a source that skips what is there", kafkaSource, "initialOffset: earliest", "initialOffset: latest", "initialOffset"},
		{"a source without a dead-letter sink", kafkaSource, "    deadLetterSink:\n      ref:\n        apiVersion: eventing.knative.dev/v1alpha1\n        kind: KafkaSink\n        name: agent-dead-letter\n", "", "deadLetterSink"},
		{"a source without order", kafkaSource, "ordering: ordered", "ordering: unordered", "ordering"},

		// What an object names must be there.
		{"a sink that is no Service", batchTrigger, "kind: Service\n      name: trade", "kind: Service\n      name: trades", "there is no serving.knative.dev/v1 Service trades"},
		{"a subscriber that is no Service", batchTrigger, "      name: http-subscriber\n", "      name: http-subscribers\n", "Service http-subscribers"},
		{"a Broker of another name", batchTrigger, "broker: millrace", "broker: default", "Broker default"},
		{"a subject that is no Deployment", batchTrigger, "    name: agent-trigger\n", "    name: agents-trigger\n", "Deployment agents-trigger"},
		{"a dead-letter sink that is not there", kafkaSource, "name: trade-dead-letter", "name: trade-dead-letters", "KafkaSink trade-dead-letters"},
		{"a schedule that wakes nobody", batchTrigger, "name: relay\n    uri: /sweep", "name: sweeper\n    uri: /sweep", "Service sweeper"},
		{"another namespace", batchTrigger, "name: relay\n  namespace: millrace", "name: relay\n  namespace: default", `in namespace "default"`},
		{"a function that the world can call", batchTrigger, "networking.knative.dev/visibility: cluster-local", "networking.knative.dev/visibility: public", "open to the world"},
		{"a subscriber that the world can call", batchTrigger, "type: ClusterIP", "type: LoadBalancer", "Service http-subscriber is open to the world"},
		{"a Service without pods", batchTrigger, "selector:\n    millrace.dev/service: http-subscriber\n  type", "selector:\n    millrace.dev/service: http\n  type", "selects the pods of 0 Deployments"},
		{"a Service at another port", batchTrigger, "targetPort: subscriber", "targetPort: 8081", "Deployment http-subscriber does not listen on port 8081"},
		{"no Service of that kind", batchTrigger, "      apiVersion: v1\n      kind: Service\n      name: http-subscriber", "      apiVersion: serving.knative.dev/v1\n      kind: Service\n      name: http-subscriber", "there is no serving.knative.dev/v1 Service http-subscriber"},

		// Who may reach what asks nobody for a token.
		{"a policy for other pods", batchTrigger, "podSelector:\n    matchLabels:\n      millrace.dev/service: http-subscriber", "podSelector:\n    matchLabels:\n      millrace.dev/service: http", "no NetworkPolicy keeps others out"},
		{"a policy for the other direction", batchTrigger, "  policyTypes:\n  - Ingress", "  policyTypes:\n  - Egress", "no NetworkPolicy keeps others out"},
		{"a policy that lets everybody in", batchTrigger, rules, rules + "  - ports:\n    - port: 8080\n", "http-subscriber lets everybody in"},
		{"a policy for all ports", batchTrigger, "    ports:\n    - port: 8080\n      protocol: TCP\n  podSelector", "  podSelector", "is not about its port alone"},
		{"a policy for another namespace", batchTrigger, "kubernetes.io/metadata.name: knative-eventing", "kubernetes.io/metadata.name: default", `pods of a known namespace: "default"`},
		{"a policy for all of a namespace", batchTrigger, "      podSelector:\n        matchLabels:\n          app: kafka-broker-dispatcher\n", "", `pods of a known namespace: ""`},
		{"a policy that shuts the Broker out", batchTrigger, rules, "  ingress: []\n", "lets the Broker in"},
		{"a subscriber behind Knative's gateway", batchTrigger, "name: CALL_URLS\n          value:", "name: SUBSCRIBER_ADDRESS\n          value: :8080 #", "Service http asks nobody for a token, and as a Knative Service"},
		{"a source on another Kafka", kafkaSource, "- kafka:9092", "- kafka-2:9092", "KafkaSource agent: its Kafka is [kafka-2:9092]"},
		{"a ConfigMap of another name", batchTrigger, "kind: ConfigMap\nmetadata:\n  name: millrace", "kind: ConfigMap\nmetadata:\n  name: mill", "there is no ConfigMap millrace"},
		{"a key that the ConfigMap has not", batchTrigger, "KAFKA_BROKERS: kafka:9092", "KAFKA_BROKER: kafka:9092", "has no key KAFKA_BROKERS"},
		{"a key that the Secret has not", batchTrigger, "REDIS_URL: redis:", "REDIS: redis:", "has no key REDIS_URL"},
		{"a Secret that nobody is told to make", production, "key: REDIS_URL\n              name: millrace", "key: REDIS_URL\n              name: redis", "has no key REDIS_URL"},

		// Families, topics and groups.
		{"a family without a function", batchTrigger, "visibility: cluster-local\n  name: ledger", "visibility: cluster-local\n  name: ledgers", "there is no Service ledger"},
		{"the image of another family", batchTrigger, "dev.local/millrace/trade:dev", "dev.local/millrace/ledger:dev", "Service trade runs image"},
		{"a topic that is not there", batchTrigger, "value: trade-events", "value: trades", "there is no topic trades"},
		{"two ways for one topic", batchTrigger, "value: trade-events", "value: agent-events", "2 ways lead"},
		{"a topic that goes to another function", kafkaSource, "name: trade\n  topics", "name: ledger\n  topics", "KafkaSource trade posts its topic to http://ledger."},
		{"another family's dead letters", kafkaSource, "topic: trade-events-dead-letter", "topic: ledger-events-dead-letter", "puts dead letters into ledger-events-dead-letter"},

		// Settings, as the code reads them.
		{"a variable that no code reads", batchTrigger, "name: GOMEMLIMIT", "name: GO_MEMORY", "no code reads GO_MEMORY"},
		{"a required variable that is not given", batchTrigger, "name: REDIS_URL\n          valueFrom", "name: LISTEN_ADDRESS\n          valueFrom", "REDIS_URL"},
		{"a value that the code refuses", batchTrigger, `DATABASE_MAX_CONNS: "4"`, `DATABASE_MAX_CONNS: "1"`, "SHARDS is 2"},
		{"a trigger without a sink", batchTrigger, "kind: Deployment\n    name: trade-trigger", "kind: Deployment\n    name: agent-trigger", "K_SINK"},
		{"a label that is not there", batchTrigger, "metadata.labels['millrace.dev/trigger']", "metadata.labels['trigger']", "the pod's labels has no key trigger"},
		{"a way in that asks nobody for a token", production, "OIDC_ISSUER: https://login.example.com", `OIDC_ISSUER: ""`, "Service http: OIDC_ISSUER"},

		// Times.
		{"a grace period that drain exceeds", batchTrigger, "timeoutSeconds: 90", "timeoutSeconds: 55", "a grace period of 55s, but draining takes 55s"},
		{"a trigger's grace period that drain exceeds", batchTrigger, "terminationGracePeriodSeconds: 40", "terminationGracePeriodSeconds: 20", "Deployment agent-trigger: a grace period"},
		{"a subscriber's grace period that drain exceeds", batchTrigger, "terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 25", "Deployment http-subscriber: a grace period"},
		{"a trigger that gives up before the function", batchTrigger, "name: NAMESPACE\n          valueFrom:\n            fieldRef:\n              fieldPath: metadata.namespace", "name: K_SINK_TIMEOUT\n          value: 20s", "gives up after 20s"},
		{"a call that gives up before the function", batchTrigger, "name: LISTEN_ADDRESS\n          value: 127.0.0.1:8081", "name: REQUEST_TIMEOUT\n          value: 20s", "Deployment http-subscriber: gives up after 20s"},

		// Pods.
		{"root", batchTrigger, "runAsNonRoot: true", "runAsNonRoot: false", "security context"},
		{"a file system that can be written", batchTrigger, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "security context"},
		{"a capability", batchTrigger, "- ALL", "- NET_RAW", "security context"},
		{"a token for Kubernetes", batchTrigger, "      automountServiceAccountToken: false\n", "", "token for Kubernetes"},
		{"another path of readiness", batchTrigger, "path: /health/readiness", "path: /ready", "readiness"},
		{"no liveness", batchTrigger, "livenessProbe", "startupProbe", "liveness"},
		{"another port", batchTrigger, "containerPort: 8080", "containerPort: 8090", "its port"},
		{"a subscriber that nobody can reach", batchTrigger, "name: SUBSCRIBER_ADDRESS\n          value: :8080", "name: SUBSCRIBER_ADDRESS\n          value: :8082", "Deployment http-subscriber: its port"},
		{"no limit of memory", batchTrigger, "            memory: 1Gi\n", "", "requests and limits"},
		{"a heap above the memory limit", batchTrigger, "value: 900MiB", "value: 1GiB", "GOMEMLIMIT"},

		// What runs once a day.
		{"a CronJob with an unknown field", batchTrigger, "concurrencyPolicy: Forbid", "concurrency: Forbid", `unknown field "spec.concurrency"`},
		{"a maintenance with a setting that no code reads", batchTrigger, "name: GOMEMLIMIT\n              value: 100MiB", "name: MAINTAIN_MONTHS\n              value: '3'", "CronJob maintain: no code reads MAINTAIN_MONTHS"},
		{"a maintenance that runs twice at once", batchTrigger, "concurrencyPolicy: Forbid", "concurrencyPolicy: Allow", "connections, PostgreSQL gives 270"},

		// Connections.
		{"more pods than PostgreSQL has connections for", production, `max-scale: "10"`, `max-scale: "99"`, "connections, PostgreSQL gives 1300"},
		{"no bound for pods", production, "        autoscaling.knative.dev/max-scale: \"10\"\n", "", "connections, PostgreSQL gives 1300"},
	} {
		broken{c.what, c.from, c.to, c.want}.isFound(t, c.overlay, check)
	}
}

// replace changes the first of what it finds.
func replace(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("the manifests do not have %q", from)
	}
	return strings.Replace(text, from, to, 1)
}

func TestOneWayCanHandOverToTheOther(t *testing.T) {
	t.Parallel()
	if err := handOver(t, build(t, batchTrigger), build(t, kafkaSource)); err != nil {
		t.Error(err)
	}
}

func TestAWayThatCannotHandOver(t *testing.T) {
	t.Parallel()
	for _, broken := range []broken{
		{"another group", "value: millrace-trade-events", "value: trades", "in group trades"},
		{"a group that two share", "value: millrace-trade-events", "value: millrace-ledger-events", "share group"},
	} {
		broken.isFound(t, batchTrigger, func(text string) error { return handOver(t, text, build(t, kafkaSource)) })
	}
}

func handOver(t *testing.T, from, to string) error {
	t.Helper()
	a, err := decode(from)
	if err != nil {
		t.Fatal(err)
	}
	b, err := decode(to)
	if err != nil {
		t.Fatal(err)
	}
	return errors.Join(checkHandOver(a, b)...)
}
