package views_test

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"

	"github.com/millrace/millrace/shared/views"
)

// A relay reads the state of an entity, applies what it shows, and does it again
// because the reply was lost.
func Example() {
	fake, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer fake.Close()
	ctx := context.Background()
	client, err := views.Open(ctx, "redis://"+fake.Addr())
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()

	clock := views.NewClock(client)
	deadline, err := clock.Deadline(ctx) // before the state is read
	if err != nil {
		panic(err)
	}
	key := views.Key("acme", "position", "acct-1", "BTC/USD")
	shown := []views.View{
		views.Hash{Key: key, Version: 7, Fields: map[string]string{"quantity": "12.5"}},
		views.Member{Key: views.Key("acme", "exposure"), Member: "acct-1", Version: 7, Score: 801_540.6, Present: true},
	}
	for range 2 {
		result, err := views.Apply(ctx, client, shown, views.Claim{Deadline: deadline, Epoch: 1})
		fmt.Println(result.Outcomes[0], result.Outcomes[1], err)
	}
	fmt.Println(key, client.HGetAll(ctx, key).Val())

	// Output:
	// applied applied <nil>
	// stale stale <nil>
	// millrace:{acme:position:acct-1:BTC%2FUSD} map[quantity:12.5]
}
