package knative

import (
	"sync"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// What is checked.
const (
	batchTrigger = "overlays/local/batch-trigger"
	kafkaSource  = "overlays/local/kafka-source"
	production   = "overlays/production"
	stores       = "stores"
)

// built are the overlays as text, each built once.
var built = map[string]func() (string, error){
	batchTrigger: kustomize(batchTrigger),
	kafkaSource:  kustomize(kafkaSource),
	production:   kustomize(production),
	stores:       kustomize(stores),
}

// kustomize does what `kubectl apply -k` does before it applies.
func kustomize(overlay string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
		if err != nil {
			return "", err
		}
		text, err := objects.AsYaml()
		return string(text), err
	})
}

func build(t *testing.T, overlay string) string {
	t.Helper()
	text, err := built[overlay]()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
