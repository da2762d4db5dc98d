package knative

import (
	"strings"
	"testing"
)

// broken is a change to manifests, and what a check is to say of it.
type broken struct{ what, from, to, want string }

// isFound has a check find it in what an overlay builds.
func (b broken) isFound(t *testing.T, overlay string, check func(text string) error) {
	t.Helper()
	t.Run(b.what, func(t *testing.T) {
		t.Parallel()
		text := replace(t, build(t, overlay), b.from, b.to)
		if err := check(text); err == nil || !strings.Contains(err.Error(), b.want) {
			t.Errorf("got %v\nwant an error with %q", err, b.want)
		}
	})
}

// The same for what limits, scales and guards the pods.
func TestBrokenPlatform(t *testing.T) {
	t.Parallel()
	for _, broken := range []broken{
		// Accounts, priorities, quota, budgets.
		{"an account that is not there", "serviceAccountName: relay\n", "serviceAccountName: relays\n", "there is no ServiceAccount relays"},
		{"a priority that is not there", "priorityClassName: millrace-way-in", "priorityClassName: high", "there is no PriorityClass high"},
		{"a quota that a spike exceeds", "requests.cpu: \"80\"", "requests.cpu: \"8\"", "the quota gives 8"},
		{"a quota without a LimitRange", "kind: LimitRange\nmetadata:\n  labels:\n    app.kubernetes.io/part-of: millrace\n  name: millrace", "kind: LimitRange\nmetadata:\n  name: others", "no LimitRange millrace"},
		{"a container above the LimitRange", "      cpu: \"2\"\n      memory: 1Gi\n    type: Container", "      cpu: \"2\"\n      memory: 512Mi\n    type: Container", "may take more memory than the LimitRange allows"},
		{"a budget that holds up a drain", "minAvailable: 1", "minAvailable: 2", "of 2 pods none may go"},
		{"a budget for nobody", "matchLabels:\n      millrace.dev/service: http-subscriber\n  unhealthy", "matchLabels:\n      millrace.dev/service: http\n  unhealthy", "guards no pods"},
		{"two budgets for one pod", "matchLabels:\n      millrace.dev/service: http-subscriber\n  unhealthy", "matchLabels:\n      millrace.dev/part: http\n  unhealthy", "two PodDisruptionBudgets"},
		{"a Job with an unknown field", "backoffLimit: 24", "backoffLimits: 24", `unknown field "spec.backoffLimits"`},
		{"a Trigger without a dead-letter sink", "    deadLetterSink:\n      ref:\n        apiVersion: v1\n        kind: Service\n        name: http-subscriber\n", "", "has no dead-letter sink"},

		// Scaling by lag.
		{"a ScaledObject with an unknown field", "pollingInterval: 5", "pollInterval: 5", `unknown field "spec.pollInterval"`},
		{"a ScaledObject of another type", "cooldownPeriod: 300", "cooldownPeriod: long", "spec.cooldownPeriod"},
		{"a ScaledObject without triggers", "  triggers:\n", "  advance:\n", "spec.triggers"},
		{"a trigger that is not there", "scaleTargetRef:\n    name: trade-trigger", "scaleTargetRef:\n    name: trades", "there is no Deployment trades"},
		{"another group", "consumerGroup: millrace-trade-events", "consumerGroup: trades", "it asks for group trades"},
		{"another topic", "topic: trade-events\n", "topic: agent-events\n", "the trigger is millrace-trade-events at [trade-events]"},
		{"another Kafka", "bootstrapServers: kafka-kafka-bootstrap", "bootstrapServers: kafka", "its Kafka is kafka."},
		{"more pods than partitions", "maxReplicaCount: 10", "maxReplicaCount: 20", "want 0 to 10 partitions"},
		{"a group that begins at the end", "offsetResetPolicy: earliest", "offsetResetPolicy: latest", "it would not see"},
		{"replicas that an apply sets back", "name: agent-trigger\n  namespace: millrace\nspec:\n  selector", "name: agent-trigger\n  namespace: millrace\nspec:\n  replicas: 1\n  selector", "an apply would set back"},
		{"a key that no Secret has", "key: KAFKA_NET_SASL_USER", "key: KAFKA_USER", "KAFKA_USER in Secret millrace-kafka"},

		// Who reaches whom, and what is asked for its metrics.
		{"a policy about nobody", "key: serving.knative.dev/service", "key: serving.knative.dev/services", "knative is about no pod"},
		{"a database that cannot be reached", "port: 5432\n      protocol: TCP\n    - port: 6379", "port: 5433\n      protocol: TCP\n    - port: 6379", "cannot reach DATABASE_URL at port 5432"},
		{"a Kafka that cannot be reached", "endPort: 9094\n      port: 9092", "endPort: 9092\n      port: 9092", "cannot reach KAFKA_BROKERS at port 9093"},
		{"functions that Knative cannot call", "port: 8012", "port: 8011", "cannot be called by Knative"},
		{"a monitor with an unknown field", "podMetricsEndpoints", "podMetricEndpoints", `unknown field "spec.podMetricEndpoints"`},
		{"a monitor at another port", "port: user-port", "port: http1", "for its metrics at 0 ports"},
		{"a rule with an unknown field", "expr: max", "expression: max", "unknown field"},
	} {
		broken.isFound(t, production, check)
	}
}

// The same for the stores.
func TestBrokenStores(t *testing.T) {
	t.Parallel()
	for _, broken := range []broken{
		{"a Kafka with an unknown field", "entityOperator:", "entityOperators:", `unknown field "spec.entityOperators"`},
		{"too few brokers", "  replicas: 3\n  resources", "  replicas: 1\n  resources", "1 brokers, want 3"},
		{"a replica in sync is enough", "min.insync.replicas: 2\n      offsets", "min.insync.replicas: 1\n      offsets", "min.insync.replicas is 1"},
		{"a topic of another Kafka", "strimzi.io/cluster: kafka\n  name: trade-events\n", "strimzi.io/cluster: kafkas\n  name: trade-events\n", "KafkaTopic trade-events is of another"},
		{"a user that cannot read", "name: millrace-\n", "name: others-\n", "may not read in every consumer group"},
		{"a listener at another port", "port: 9093", "port: 9094", "KAFKA_BROKERS is"},
		{"too few locks", "max_locks_per_transaction: \"256\"", "max_locks_per_transaction: \"64\"", "max_locks_per_transaction is 64"},
		{"a commit that waits for nobody", "dataDurability: required", "dataDurability: preferred", "does not wait for a replica"},
		{"a durability that there is not", "dataDurability: required", "dataDurability: eventual", "dataDurability"},
		{"too few replicas", "instances: 4", "instances: 3", "3 instances"},
		{"a Cluster with an unknown field", "switchoverDelay: 60", "switchDelay: 60", `unknown field "spec.switchDelay"`},
		{"a pooler of another Cluster", "  cluster:\n    name: postgres\n  deployment", "  cluster:\n    name: others\n  deployment", "Pooler postgres-pooler is of another Cluster"},
		{"a pooler with too few clients", `max_client_conn: "1000"`, `max_client_conn: "500"`, "the others take 1000 connections"},
		{"a pooler with too many servers", `default_pool_size: "80"`, `default_pool_size: "100"`, "PostgreSQL has 300"},
		{"backups that nobody keeps", "barmanObjectName: postgres", "barmanObjectName: others", "there is no ObjectStore"},
		{"an archive with an unknown field", "maxParallel: 4", "parallel: 4", "configuration.wal.parallel"},
		{"a schedule of another plugin", "pluginConfiguration:\n    name: barman-cloud", "pluginConfiguration:\n    name: barman", "do not go the same way"},
		{"a node that is not joined", " redis-3.redis:6379", "", "are joined as"},
		{"a Redis as root", "runAsNonRoot: true", "runAsNonRoot: false", "is not the narrowest"},
		{"a policy about nobody", "millrace.dev/store: redis\n  policyTypes", "millrace.dev/store: cache\n  policyTypes", "redis is about no pod"},
		{"a store that others take the place of", "priorityClassName: millrace-stores\n  resources", "priorityClassName: low\n  resources", "priority class"},
	} {
		broken.isFound(t, stores, func(text string) error { return checkStores(text, build(t, production)) })
	}
}
