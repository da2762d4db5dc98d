package views

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

// listener hears what is published at a key.
type listener struct {
	*subject

	key    string
	pubsub *redis.PubSub
}

// listen subscribes to a key's channel; it is heard from before listen returns.
func listen(t *subject, key string) listener {
	t.Helper()
	pubsub := t.client.Subscribe(t.Context(), key)
	t.Cleanup(func() { _ = pubsub.Close() })
	if _, err := pubsub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return listener{t, key, pubsub}
}

// heard checks what was published at the key since the last time. A mark that the
// test publishes itself says that there is nothing more. In a cluster, what comes
// from one node keeps its order, so the mark goes by the node of the key.
func (l listener) heard(want ...string) {
	l.Helper()
	const mark = "the mark"
	var node redis.Cmdable = l.client
	if cluster, isCluster := l.client.(*redis.ClusterClient); isCluster {
		master, err := cluster.MasterForKey(l.Context(), l.key)
		if err != nil {
			l.Fatal(err)
		}
		node = master
	}
	if err := node.Publish(l.Context(), l.key, mark).Err(); err != nil {
		l.Fatal(err)
	}
	var got []string
	for {
		message, err := l.pubsub.ReceiveMessage(l.Context())
		if err != nil {
			l.Fatal(err)
		}
		if message.Payload == mark {
			break
		}
		got = append(got, message.Payload)
	}
	if !slices.Equal(got, want) {
		l.Fatalf("heard %q, want %q", got, want)
	}
}

// Subscribers hear of a newer version once, whatever is applied again.
func TestPublishHash(t *testing.T) {
	backends(t, func(t *subject) {
		tenant := newTenant()
		hash := func(version int64, fields map[string]string) Hash {
			return Hash{Key: Key(tenant, "agent"), Version: version, Fields: fields, Publish: true}
		}
		l := listen(t, hash(1, nil).Key)
		some := map[string]string{"a": "1"}
		rebuild := soon()
		rebuild.Rewrite = true
		failedOver := rebuild
		failedOver.Epoch++
		for _, step := range []struct {
			claim Claim
			view  Hash
			want  []string
		}{
			{soon(), hash(1, some), []string{"1"}},
			{soon(), hash(1, some), nil},
			{soon(), hash(3, nil), []string{"3"}},
			{soon(), hash(2, some), nil},
			{rebuild, hash(3, some), nil},
			{rebuild, hash(MaxVersion-1, some), []string{"9007199254740990"}},
			{soon(), hash(MaxVersion, some), []string{"9007199254740991"}},
			{failedOver, hash(MaxVersion, some), nil},
			{failedOver, hash(MaxVersion, some), nil},
			{soon(), hash(MaxVersion, some), nil}, // the lost timeline
			{Claim{Deadline: soon().Deadline, Epoch: 3, Rewrite: true}, hash(MaxVersion-7, some), []string{"9007199254740984"}},
		} {
			apply(t, t.client, step.claim, step.view)
			l.heard(step.want...)
		}
		quiet := hash(5, some)
		quiet.Publish, quiet.Key = false, Key(tenant, "quiet")
		q := listen(t, quiet.Key)
		apply(t, t.client, soon(), quiet)
		q.heard()

		t.client.Del(t.Context(), l.key, l.key+":v")
		apply(t, t.client, rebuild, hash(7, some))
		l.heard() // it was told before, most likely
	})
}

func TestPublishRecent(t *testing.T) {
	backends(t, func(t *subject) {
		tenant := newTenant()
		recent := func(member string, version int64, score float64, value string) View {
			return Recent{
				Key: Key(tenant, "messages"), Member: member, Version: version, Score: score,
				Value: value, Keep: 1, Publish: true, Present: value != "",
			}
		}
		l := listen(t, Key(tenant, "messages"))
		rebuild := soon()
		rebuild.Rewrite = true
		for _, step := range []struct {
			claim Claim
			views []View
			want  []string
		}{
			{soon(), []View{recent("b", 1, 2, "b1"), recent("a", 1, 1, "a1")}, []string{"a1", "b1"}},
			{soon(), []View{recent("b", 1, 2, "b1")}, nil},
			{soon(), []View{recent("b", 3, 2, "b3"), recent("b", 2, 2, "b2")}, []string{"b3"}},
			{soon(), []View{recent("a", 2, 1, "a2")}, []string{"a2"}},
			{soon(), []View{recent("old", 1, 0, "too old to be remembered")}, nil},
			{rebuild, []View{recent("a", 2, 1, "a2"), recent("b", 4, 2, "b4")}, []string{"b4"}},
			{soon(), []View{recent("c", 1, 3, "c1"), recent("b", 5, 2, "")}, []string{"c1"}},
		} {
			apply(t, t.client, step.claim, step.views...)
			l.heard(step.want...)
		}
		t.client.Del(t.Context(), l.key, l.key+":v", l.key+":o")
		apply(t, t.client, rebuild, recent("c", 1, 3, "c1"))
		l.heard()
	})
}
