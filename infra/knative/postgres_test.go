package knative

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ObjectStore is where CloudNativePG's plugin Barman Cloud puts backups. The module
// of the plugin could not be had; its configuration has been CloudNativePG's own
// before, whose schema checks it.
type ObjectStore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		RetentionPolicy string         `json:"retentionPolicy"`
		Configuration   map[string]any `json:"configuration"`
	} `json:"spec"`
}

func text(u *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// checkPostgres holds PostgreSQL to what docs/guarantees.md and docs/servers.md ask
// of it, and its backups to each other.
func checkPostgres(m manifests) (errs []error) {
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("PostgreSQL: "+format, args...)) }
	clusters := custom(m, "Cluster")
	if len(clusters) != 1 {
		return []error{errors.New("PostgreSQL: there is not one Cluster")}
	}
	c := clusters[0]
	if got := number(text(c, "spec", "postgresql", "parameters", "max_locks_per_transaction"), 64); got < 256 {
		fault("max_locks_per_transaction is %d", got)
	}
	if text(c, "spec", "postgresql", "synchronous", "dataDurability") != "required" || number(text(c, "spec", "postgresql", "synchronous", "number"), 0) < 1 {
		fault("a commit does not wait for a replica")
	}
	if n := number(text(c, "spec", "instances"), 0); n < 4 {
		fault("%d instances, want a primary and three replicas", n)
	}
	for _, kind := range []string{"Pooler", "ScheduledBackup"} {
		for _, u := range custom(m, kind) {
			if text(u, "spec", "cluster", "name") != c.GetName() {
				fault("%s is of another Cluster", title(u))
			}
		}
	}
	plugins, _, _ := unstructured.NestedSlice(c.Object, "spec", "plugins")
	backups := custom(m, "ScheduledBackup")
	if len(plugins) != 1 || len(backups) != 1 {
		return append(errs, errors.New("PostgreSQL: there is not one archive with one schedule"))
	}
	object, _ := plugins[0].(map[string]any)
	plugin := unstructured.Unstructured{Object: object}
	if text(&plugin, "isWALArchiver") != "true" || text(&plugin, "name") != text(backups[0], "spec", "pluginConfiguration", "name") {
		fault("WAL and backups do not go the same way")
	}
	store, ok := find[*ObjectStore](m, text(&plugin, "parameters", "barmanObjectName"))
	if !ok {
		return append(errs, errors.New("PostgreSQL: there is no ObjectStore for its backups"))
	}
	configuration := schemas()["postgresql.cnpg.io/v1 Cluster"].Properties["spec"]
	configuration = configuration.Properties["backup"]
	configuration = configuration.Properties["barmanObjectStore"]
	return append(errs, unknown(&configuration, store.Spec.Configuration, "ObjectStore spec.configuration")...)
}

// checkPooler holds the connections that the pooler takes and makes to those that
// the processes may open and PostgreSQL has.
func checkPooler(m, processes manifests) (errs []error) {
	clusters, poolers := custom(m, "Cluster"), custom(m, "Pooler")
	configMap, ok := find[*corev1.ConfigMap](processes, "millrace")
	if len(clusters) != 1 || len(poolers) != 1 || !ok {
		return []error{errors.New("PostgreSQL: there is not one Cluster with one Pooler")}
	}
	setting := func(name string) int { return number(text(poolers[0], "spec", "pgbouncer", "parameters", name), 0) }
	instances := number(text(poolers[0], "spec", "instances"), 0)
	if takes, want := (instances-1)*setting("max_client_conn"), number(configMap.Data["database-connections"], 0); takes < want {
		errs = append(errs, fmt.Errorf("with one pooler away the others take %d connections, the processes count on %d", takes, want))
	}
	// Replicas and backups, migration and maintenance, people.
	const others = 30
	if makes, has := instances*setting("default_pool_size")+others, number(text(clusters[0], "spec", "postgresql", "parameters", "max_connections"), 0); makes > has {
		errs = append(errs, fmt.Errorf("poolers and others make %d connections, PostgreSQL has %d", makes, has))
	}
	transactions := text(poolers[0], "spec", "pgbouncer", "poolMode") == "transaction"
	if transactions && !strings.Contains(documentedSecret("millrace")["DATABASE_URL"], "default_query_exec_mode=cache_describe") {
		errs = append(errs, errors.New("behind a pooler of transactions DATABASE_URL in docs/knative.md has prepared statements"))
	}
	return errs
}
