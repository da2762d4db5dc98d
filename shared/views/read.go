package views

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ReadHash returns what Redis shows at the key of a [Hash]. Its version is 0 if
// nothing was ever shown there, or if its deletion is long past.
func ReadHash(ctx context.Context, client redis.UniversalClient, key string) (Hash, error) {
	pipe := client.Pipeline()
	fields, stored := pipe.HGetAll(ctx, key), pipe.Get(ctx, key+":v")
	if err := readAll(ctx, pipe); err != nil {
		return Hash{}, fmt.Errorf("views: reading %s: %w", key, err)
	}
	return Hash{Key: key, Version: storedVersion(stored.Val()), Fields: fields.Val()}, nil
}

// ReadMembers returns the limit members with the greatest scores of those that
// Redis shows at the key of a [Member], greatest first.
func ReadMembers(ctx context.Context, client redis.UniversalClient, key string, limit int) ([]Member, error) {
	scores, err := client.ZRevRangeWithScores(ctx, key, 0, int64(limit)-1).Result()
	if err != nil || len(scores) == 0 {
		return nil, wrap(err, "views: reading "+key)
	}
	names := make([]string, len(scores))
	for i, z := range scores {
		names[i] = fmt.Sprint(z.Member)
	}
	versions, err := client.HMGet(ctx, key+":v", names...).Result()
	if err != nil {
		return nil, wrap(err, "views: reading "+key)
	}
	members := make([]Member, len(scores))
	for i, z := range scores {
		stored, _ := versions[i].(string)
		members[i] = Member{Key: key, Member: names[i], Version: storedVersion(stored), Score: z.Score, Present: true}
	}
	return members, nil
}

// ReadBit returns what Redis shows of one member at the key of a [Bit]. Its version is
// 0 if nothing was ever shown of it.
func ReadBit(ctx context.Context, client redis.UniversalClient, key, member string) (Bit, error) {
	pipe := client.Pipeline()
	bitmap, offset, stored := pipe.Get(ctx, key), pipe.HGet(ctx, key+":o", member), pipe.HGet(ctx, key+":v", member)
	if err := readAll(ctx, pipe); err != nil {
		return Bit{}, fmt.Errorf("views: reading %s: %w", key, err)
	}
	return Bit{Key: key, Member: member, Version: storedVersion(stored.Val()), On: bitAt(bitmap.Val(), offset.Val())}, nil
}

// ReadRecent returns the values that Redis shows at the key of a [Recent], newest
// first.
func ReadRecent(ctx context.Context, client redis.UniversalClient, key string) ([]string, error) {
	values, err := client.LRange(ctx, key, 0, -1).Result()
	return values, wrap(err, "views: reading "+key)
}

// storedVersion is the version in a companion's text: 12@1, 12+value; 0 if empty.
func storedVersion(text string) int64 {
	end := strings.IndexAny(text, "@+-")
	if end < 0 {
		return 0
	}
	version, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// readAll runs a pipeline of reads; that a key or field is not there is no error.
func readAll(ctx context.Context, pipe pipe) error {
	return readBut(ctx, pipe, func(error) bool { return false })
}

// readBut does so, and leaves out the errors that are fine.
func readBut(ctx context.Context, pipe pipe, fine func(error) bool) error {
	commands, err := pipe.Exec(ctx)
	if err == nil {
		return nil
	}
	for _, cmd := range commands {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !fine(err) {
			return err
		}
	}
	return nil
}

func wrap(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
