package bench

import (
	"cmp"
	"context"

	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/infra/traffic/produce"
	"github.com/millrace/millrace/shared/kafka"
)

// fill puts the traffic into its topics, and says what has to come of it.
func fill(ctx context.Context, brokers []string, s traffic.Settings) (traffic.Expected, error) {
	generator, err := traffic.New(s)
	if err != nil {
		return traffic.Expected{}, err
	}
	producer, err := produce.New(brokers, kafka.Security{})
	if err != nil {
		return traffic.Expected{}, err
	}
	for r, ok := generator.Next(); ok; r, ok = generator.Next() {
		if err := producer.Send(ctx, r); err != nil {
			return traffic.Expected{}, cmp.Or(err, producer.Close())
		}
	}
	return generator.Expected(), producer.Close()
}
