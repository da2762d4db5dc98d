package stack_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/infra/stack"
)

func TestKafkaForgetsMembersThatDied(t *testing.T) {
	t.Parallel()
	kafka, err := stack.StartKafka(stack.KafkaConfig{Ports: []int{0, 0, 0}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Stop)
	if err := kafka.Forget(t.Context(), "group"); err != nil {
		t.Errorf("of a group that is not there: %v", err)
	}
	join(t, kafka, "group")
	if n := len(kafka.Cluster().GroupInfo("group").Members); n != 1 {
		t.Fatalf("%d members", n)
	}
	if err := kafka.Forget(t.Context(), "group"); err != nil {
		t.Fatal(err)
	}
	if n := len(kafka.Cluster().GroupInfo("group").Members); n != 0 {
		t.Errorf("%d members are left", n)
	}
}

// join joins a group, in the two steps of the protocol, and says no more.
func join(t *testing.T, kafka *stack.Kafka, group string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	member := ""
	for range 2 {
		protocol := kmsg.NewJoinGroupRequestProtocol()
		protocol.Name = "range"
		request := kmsg.NewPtrJoinGroupRequest()
		request.Group, request.MemberID, request.ProtocolType = group, member, "consumer"
		request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = 60_000, 60_000
		request.Protocols = append(request.Protocols, protocol)
		answer, err := request.RequestWith(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		member = answer.MemberID
	}
}
