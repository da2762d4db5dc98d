package knative

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// What a cluster knows of the manifests it would take, without a word: its own
// validation, Knative's webhooks, and the rules in CEL of the operators' schemas.
// It changes nothing in the cluster but namespaces that are missing.
func TestServerTakes(t *testing.T) {
	t.Parallel()
	if os.Getenv("KUBECONFIG") == "" {
		t.Skip("NOT RUN HERE: whether a server takes the manifests. Set KUBECONFIG to a cluster with Knative, and have kubectl.")
	}
	known := kinds(t)
	overlays := []string{batchTrigger, kafkaSource, production, stores}
	for _, overlay := range overlays {
		m, err := decode(build(t, overlay))
		if err != nil {
			t.Fatal(err)
		}
		ensureNamespace(t, m)
	}
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			var documents, unknown []string
			for document := range strings.SplitSeq(build(t, overlay), "\n---\n") {
				object, err := decodeOne([]byte(document))
				if err != nil {
					t.Fatal(err)
				}
				if version, kind := kindOf(object); slices.Contains(known, version+" "+kind) {
					documents = append(documents, document)
				} else {
					unknown = append(unknown, title(object))
				}
			}
			out := kubectl(t, strings.Join(documents, "\n---\n"), "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--field-manager=millrace-check", "-f", "-")
			if strings.Contains(out, "Warning") || strings.Count(out, "serverside-applied") != len(documents) {
				t.Errorf("of %d objects the server said:\n%s", len(documents), out)
			}
			t.Logf("taken: %d; the server does not know the kinds of %d: %s", len(documents), len(unknown), strings.Join(unknown, ", "))
		})
	}
}

// kinds are those that the server knows.
func kinds(t *testing.T) (known []string) {
	t.Helper()
	for line := range strings.Lines(kubectl(t, "", "api-resources", "--no-headers")) {
		if f := strings.Fields(line); len(f) >= 4 {
			known = append(known, f[len(f)-3]+" "+f[len(f)-1])
		}
	}
	return known
}

// ensureNamespace makes one that is missing, with its accounts, for as long as the
// test runs: without it the server takes nothing into it, and Knative no Service
// without an account.
func ensureNamespace(t *testing.T, m manifests) {
	t.Helper()
	namespace := all[*corev1.Namespace](m)[0]
	if kubectl(t, "", "get", "namespace", namespace.Name, "--ignore-not-found") != "" {
		return
	}
	kubectl(t, asYAML(t, namespace), "create", "-f", "-")
	t.Cleanup(func() { kubectl(t, "", "delete", "namespace", namespace.Name, "--wait=false") })
	for _, account := range all[*corev1.ServiceAccount](m) {
		kubectl(t, asYAML(t, account), "create", "-f", "-")
	}
}

func asYAML(t *testing.T, object any) string {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("kubectl", args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String()
}
