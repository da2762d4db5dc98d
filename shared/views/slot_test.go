package views

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// The slots that we compute are the server's.
func TestSlotOf(t *testing.T) {
	t.Parallel()
	if got := slotOf("123456789"); got != 0x31C3 {
		t.Fatalf("slot %#x, want that of the specification's example", got)
	}
	client := openTest(t, cluster(t)).(*redis.ClusterClient)
	rapid.Check(t, func(rt *rapid.T) {
		key := Key(rapid.String().Draw(rt, "tenant"), "k", rapid.String().Draw(rt, "id"))
		want := client.ClusterKeySlot(t.Context(), key).Val()
		if got := slotOf(key); int64(got) != want {
			rt.Fatalf("%s: slot %d, want %d", key, got, want)
		}
	})
}
