package stack

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaConfig says where Kafka comes from.
type KafkaConfig struct {
	// Brokers are those of a Kafka that exists already; with them nothing is started.
	Brokers []string
	// Ports are one for each broker started here; 0 takes a free one.
	Ports []int
	// Dir keeps the log; empty keeps it in memory.
	Dir string
}

// Kafka is a Kafka that can be talked to at Brokers.
type Kafka struct {
	Brokers []string
	// Origin says in a few words where it comes from.
	Origin  string
	cluster *kfake.Cluster
}

// StartKafka starts kfake in this process, or takes the brokers that it is given.
func StartKafka(cfg KafkaConfig) (*Kafka, error) {
	if len(cfg.Brokers) > 0 {
		return &Kafka{Brokers: cfg.Brokers, Origin: "from KAFKA_BROKERS"}, nil
	}
	for _, port := range cfg.Ports {
		if err := CheckPorts(KafkaPort(port)); err != nil {
			return nil, err
		}
	}
	options := []kfake.Opt{kfake.Ports(cfg.Ports...), kfake.ClusterID("millrace")}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("making Kafka's data directory: %w", err)
		}
		options = append(options, kfake.DataDir(cfg.Dir))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("starting kfake: %w", err)
	}
	return &Kafka{Brokers: cluster.ListenAddrs(), Origin: "kfake in this process", cluster: cluster}, nil
}

// Cluster is the kfake behind it, for tests that inject faults; nil when
// Kafka came from elsewhere.
func (k *Kafka) Cluster() *kfake.Cluster { return k.cluster }

// Forget takes the members out of a consumer group, all of which have died; of a
// Kafka that exists already it leaves them alone, since there may be others.
//
// kfake starts no clock for a member that died while it waited to join: it would
// hold that member's partitions for ever. Of others it would wait for the session
// to time out, which nobody who sits before the screen need do.
func (k *Kafka) Forget(ctx context.Context, group string) error {
	if k.cluster == nil {
		return nil
	}
	info := k.cluster.GroupInfo(group)
	if info == nil || len(info.Members) == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers...))
	if err != nil {
		return fmt.Errorf("forgetting the members of group %s: %w", group, err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group = group
	for _, m := range info.Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		request.Members = append(request.Members, member)
	}
	if _, err := request.RequestWith(ctx, client); err != nil {
		return fmt.Errorf("forgetting the members of group %s: %w", group, err)
	}
	return nil
}

// Stop ends what StartKafka started, with its state on disk.
func (k *Kafka) Stop() {
	if k != nil && k.cluster != nil {
		k.cluster.Close()
	}
}
