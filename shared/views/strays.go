package views

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// StrayKey is what a [Difference] of Strays got where no view is of the whole key.
const StrayKey = "a key"

// Strays returns what Redis shows of a tenant that none of the views is of: keys
// and members that no entity accounts for. With [Diff] it says whether Redis equals
// what it should show, no more and no less. An empty tenant means all.
func Strays(ctx context.Context, client redis.UniversalClient, tenant string, views []View) ([]Difference, error) {
	plan, err := newPlan(views)
	if err != nil {
		return nil, err
	}
	known := map[string]map[string]bool{}
	for _, e := range plan.entries {
		if known[e.key] == nil {
			known[e.key] = map[string]bool{}
		}
		known[e.key][e.member] = true
	}
	pattern := keyPrefix + "*" + keySuffix
	if tenant != "" {
		pattern = keyPrefix + string(appendEscaped(nil, tenant)) + ":*" + keySuffix
	}
	var mu sync.Mutex
	var found []Difference
	err = eachMaster(ctx, client, func(ctx context.Context, master *redis.Client) error {
		return scan(ctx, master, pattern, func(key string) error {
			if strings.HasPrefix(key, epochPrefix) {
				return nil
			}
			strays, err := straysAt(ctx, master, key, known[key])
			mu.Lock()
			defer mu.Unlock()
			found = append(found, strays...)
			return err
		})
	})
	return found, wrap(err, "views: looking for strays")
}

// straysAt returns what is shown at a key beyond the known members.
func straysAt(ctx context.Context, master *redis.Client, key string, known map[string]bool) ([]Difference, error) {
	if known == nil {
		return []Difference{{Key: key, Want: "nothing", Got: StrayKey}}, nil
	}
	if known[""] {
		return nil, nil // a view of the whole key, which Diff compares
	}
	switch shown, err := master.Type(ctx, key).Result(); {
	case err != nil:
		return nil, err
	case shown == "string":
		return strayBits(ctx, master, key, known)
	case shown != "zset":
		return nil, nil
	}
	var found []Difference
	members := master.ZScan(ctx, key, 0, "", diffKeys).Iterator()
	for i := 0; members.Next(ctx); i++ {
		if member := members.Val(); i%2 == 0 && !known[member] {
			found = append(found, Difference{Key: key, Member: member, Want: "nothing", Got: "a member"})
		}
	}
	return found, members.Err()
}

// strayBits returns the bits that are on and not of a known member.
func strayBits(ctx context.Context, master *redis.Client, key string, known map[string]bool) ([]Difference, error) {
	bitmap, errBitmap := master.Get(ctx, key).Result()
	offsets, errOffsets := master.HGetAll(ctx, key+":o").Result()
	if isOtherType(errOffsets) {
		return nil, nil // a text where no bitmap should be, which Diff finds
	}
	if err := errors.Join(errBitmap, errOffsets); err != nil {
		return nil, err
	}
	var found []Difference
	owned, on := 0, 0
	for member, offset := range offsets {
		if member == "" || !bitAt(bitmap, offset) {
			continue
		}
		owned++
		if !known[member] {
			found = append(found, Difference{Key: key, Member: member, Want: "nothing", Got: "a bit"})
		}
	}
	for i := range len(bitmap) {
		on += bits.OnesCount8(bitmap[i])
	}
	return append(found, differ(key, "", fmt.Sprintf("%d bits on", owned), fmt.Sprintf("%d bits on", on))...), nil
}

// scan calls do for each key of one server that matches, some perhaps twice.
func scan(ctx context.Context, master *redis.Client, pattern string, do func(key string) error) error {
	keys := master.Scan(ctx, 0, pattern, diffKeys).Iterator()
	for keys.Next(ctx) {
		if err := do(keys.Val()); err != nil {
			return fmt.Errorf("%s: %w", keys.Val(), err)
		}
	}
	return keys.Err()
}
