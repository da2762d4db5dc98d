package views

import (
	"testing"

	"pgregory.net/rapid"
)

// The slots that we compute are the server's.
func TestSlotOf(t *testing.T) {
	t.Parallel()
	if got := slotOf("123456789"); got != 0x31C3 {
		t.Fatalf("slot %#x, want that of the specification's example", got)
	}
	client := openTest(t, cluster(t))
	rapid.Check(t, func(rt *rapid.T) {
		key := Key(rapid.String().Draw(rt, "tenant"), "k", rapid.String().Draw(rt, "id"))
		want := client.Do(t.Context(), "CLUSTER", "KEYSLOT", key).Val()
		if got := slotOf(key); int64(got) != want {
			rt.Fatalf("%s: slot %d, want %d", key, got, want)
		}
	})
}
