package faults

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// setBackOffsets has a group read its topic from the start.
func (w *world) setBackOffsets(t *testing.T) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.deps.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for topic, group := range w.deps.ConsumerGroups {
		starts, err := admin.ListStartOffsets(t.Context(), topic)
		if err == nil {
			err = admin.CommitAllOffsets(t.Context(), group, starts.Offsets())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
