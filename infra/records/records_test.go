package records

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

// TestExtentsOfAGroupThatNeverConsumed: a trigger that has not come up yet.
func TestExtentsOfAGroupThatNeverConsumed(t *testing.T) {
	t.Parallel()
	client, err := Cluster{Brokers: stacktest.Kafka(t)}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	extents, err := Extents(t.Context(), kadm.NewClient(client), topics.Events("trade"), "nobody")
	if err != nil {
		t.Fatal(err)
	}
	if len(extents) == 0 {
		t.Error("no partitions")
	}
	for n, x := range extents {
		if x != (Extent{}) {
			t.Errorf("partition %d: %+v", n, x)
		}
	}
}
