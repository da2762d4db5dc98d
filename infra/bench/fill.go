package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/topics"
)

// fill puts the trades into their topic: accounts in turn, keyed by account, as
// CloudEvents in binary mode.
func fill(ctx context.Context, brokers []string, o options) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MaxBufferedRecords(10_000))
	if err != nil {
		return err
	}
	defer client.Close()
	now := time.Now().UTC()
	failed := make(chan error, 1)
	for n := range o.trades {
		client.Produce(ctx, trade(o, n, now), func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("filling the topic: %w", err)
	}
	select {
	case err := <-failed:
		return fmt.Errorf("filling the topic: %w", err)
	default:
		return nil
	}
}

// trade is the nth trade.
func trade(o options, n int, now time.Time) *kgo.Record {
	account := n % o.accounts
	subject := "account-" + strconv.Itoa(account)
	side := "buy"
	if n/o.accounts%3 == 2 {
		side = "sell"
	}
	data := fmt.Sprintf(`{"instrument":"ACME-%d","side":%q,"quantity":"%d","price":"%d.%02d","currency":"EUR","fee":"1.50"}`,
		n/o.accounts%5, side, 100+n%900, 10+n%90, n%100)
	r := &kgo.Record{Topic: topics.Events("trade"), Key: []byte(subject), Value: []byte(data)}
	header := func(name, value string) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	header("ce_specversion", "1.0")
	header("ce_id", "trade-"+strconv.Itoa(n))
	header("ce_source", "/bench")
	header("ce_type", "trade.executed.v1")
	header("ce_tenantid", "tenant-"+strconv.Itoa(account%o.tenants))
	header("ce_subject", subject)
	header("ce_time", now.Format(time.RFC3339Nano))
	if o.sequenced {
		header("ce_sequence", strconv.Itoa(n/o.accounts+1))
	}
	header("content-type", "application/json")
	return r
}
