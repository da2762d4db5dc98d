package kafka

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestMembersThatWereKilledDoNotStopTheGroup: the member of the group was
// killed, and then those that were waiting to take its place. Who comes next
// has to wait for them, but not for ever.
func TestMembersThatWereKilledDoNotStopTheGroup(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 2, kfake.BrokerConfigs(map[string]string{"group.min.session.timeout.ms": "100"}))
	s := newSinkServer(t, func(*http.Request, []testEvent) int { return http.StatusAccepted })
	cfg := testConfig(cluster, s.URL)
	cfg.SessionTimeout, cfg.RebalanceTimeout, cfg.DrainTimeout = time.Second, 3*time.Second, time.Second

	first := newGhost(t, cluster, cfg)
	if err := first.join(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.sync(t)
	// Of these kfake forgets about half for good: it starts no clock for a member
	// that its answer does not reach.
	for range 8 {
		killed(t, cluster, newGhost(t, cluster, cfg))
	}
	// The group does without the first, and now waits for the others to go on.
	eventually(t, "the first is given up", func() bool {
		info := cluster.GroupInfo(cfg.Group)
		return info != nil && info.State == "CompletingRebalance"
	})

	start(t, cfg)
	produce(t, cluster, testRecord("a", 0), testRecord("b", 0))
	eventually(t, "all delivered", func() bool { return s.count() == 2 })
}

// killed lets a ghost ask to join, and kills it while it waits.
func killed(t *testing.T, cluster *kfake.Cluster, g *ghost) {
	t.Helper()
	waiting := make(chan struct{})
	waits := sync.OnceFunc(func() { close(waiting) })
	cluster.ControlKey(kmsg.JoinGroup.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if join, ok := request.(*kmsg.JoinGroupRequest); !ok || join.MemberID == "" {
			cluster.KeepControl()
			return nil, nil, false //nolint:nilnil // kfake's way to say that it should answer itself
		}
		waits()
		return nil, nil, false //nolint:nilnil // as above
	})
	ctx, kill := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { _ = g.join(ctx); close(gone) }()
	<-waiting
	kill()
	g.client.Close()
	<-gone
}

// ghost is a member of the group that says only what it is told to.
type ghost struct {
	client *kgo.Client
	cfg    Config
	member string
	answer *kmsg.JoinGroupResponse
}

func newGhost(t *testing.T, cluster *kfake.Cluster, cfg Config) *ghost {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &ghost{client: client, cfg: cfg}
}

// join joins as Kafka has it: the first answer gives a name, the second request
// waits for the others.
func (g *ghost) join(ctx context.Context) error {
	for range 2 {
		metadata := kmsg.NewConsumerMemberMetadata()
		metadata.Topics = g.cfg.Topics
		protocol := kmsg.NewJoinGroupRequestProtocol()
		protocol.Name, protocol.Metadata = "cooperative-sticky", metadata.AppendTo(nil)
		request := kmsg.NewPtrJoinGroupRequest()
		request.Group, request.ProtocolType, request.MemberID = g.cfg.Group, "consumer", g.member
		request.SessionTimeoutMillis = int32(g.cfg.SessionTimeout.Milliseconds())
		request.RebalanceTimeoutMillis = int32(g.cfg.RebalanceTimeout.Milliseconds())
		request.Protocols = append(request.Protocols, protocol)
		answer, err := request.RequestWith(ctx, g.client)
		if err != nil {
			return err
		}
		g.member, g.answer = answer.MemberID, answer
	}
	return nil
}

func (g *ghost) sync(t *testing.T) {
	t.Helper()
	request := kmsg.NewPtrSyncGroupRequest()
	request.Group, request.Generation, request.MemberID = g.cfg.Group, g.answer.Generation, g.member
	if answer, err := request.RequestWith(t.Context(), g.client); err != nil || answer.ErrorCode != 0 {
		t.Fatalf("error %v, code %d", err, answer.ErrorCode)
	}
}
