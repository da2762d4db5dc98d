package views

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

// scans notes from where SCAN is called, and fails its second call once.
type scans struct {
	from []string
	fail bool
}

func (s *scans) DialHook(next redis.DialHook) redis.DialHook { return next }
func (s *scans) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (s *scans) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "scan" {
			return next(ctx, cmd)
		}
		s.from = append(s.from, fmt.Sprint(cmd.Args()[1]))
		if s.fail && len(s.from) == 2 {
			return errors.New("injected")
		}
		return next(ctx, cmd)
	}
}

// An interrupted prune goes on where it was.
func TestPruneGoesOn(t *testing.T) {
	t.Parallel()
	client := openTest(t, "redis://"+ownRedis(t).address)
	watch := &scans{fail: true}
	client.AddHook(watch)
	var lost []View
	for i := range 3 * diffKeys {
		lost = append(lost, Hash{Key: Key("tenant", "lost", fmt.Sprint(i)), Version: 1, Fields: map[string]string{"a": "1"}})
	}
	apply(t, client, soon(), lost...)
	first, err := Prune(t.Context(), client, 2, begun(t, client, 2, 1)...)
	if err == nil || first == 0 {
		t.Fatal(first, err)
	}
	watch.fail = false
	masters := begun(t, client, 2, 1)
	second, err := Prune(t.Context(), client, 2, masters...)
	if err != nil || first+second != len(lost) {
		t.Fatal(first, second, err)
	}
	setEpoch(t, client, masters)
	if watch.from[1] == "0" || watch.from[2] != watch.from[1] {
		t.Error(watch.from)
	}
}
