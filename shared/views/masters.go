package views

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// eachMaster calls do for each master, several at a time.
func eachMaster(ctx context.Context, client redis.UniversalClient, do func(context.Context, *redis.Client) error) error {
	switch c := client.(type) {
	case *redis.Client:
		return do(ctx, c)
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, do)
	default:
		return fmt.Errorf("%T is neither a single server nor a cluster", client)
	}
}
