package produce

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/kafka"
)

// A partition's leader has just moved when all is sent: the last records are sent again,
// and Close waits for them.
func TestCloseWaitsForWhatIsSentAgain(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for range 10 { // which way sarama goes is chance
		moved := make(chan struct{})
		cluster.ControlKey(kmsg.Produce.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
			close(moved)
			response := request.(*kmsg.ProduceRequest).ResponseKind().(*kmsg.ProduceResponse) //nolint:forcetypeassert,errcheck // what the key says
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic = "events"
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.ErrorCode = kerr.NotLeaderForPartition.Code
			topic.Partitions = append(topic.Partitions, partition)
			response.Topics = append(response.Topics, topic)
			return response, nil, true
		})
		p, err := New(cluster.ListenAddrs(), kafka.Security{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Send(t.Context(), traffic.Record{Topic: "events", Value: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		<-moved
		if err := p.Close(); err != nil || p.Acked() != 1 {
			t.Fatalf("%d of 1 acknowledged: %v", p.Acked(), err)
		}
	}
}
