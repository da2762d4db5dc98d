package kafkacluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/stack"
)

// size is how many brokers there are: the least that goes on without one.
const size = 3

// Cluster is a running Kafka.
type Cluster struct {
	Brokers []*Broker
}

// Door is another way in to a broker, for clients that come through a proxy.
type Door struct {
	// Listen is where the broker listens for them, host:port.
	Listen string
	// Advertised is what it tells them of where it is: the proxy's address.
	Advertised string
}

// Start makes a cluster in an empty folder, and returns when all brokers know
// each other. What it has logged stays in the folder. With doors, there is one for
// each broker.
func Start(ctx context.Context, programs Programs, dir string, doors ...Door) (*Cluster, error) {
	addresses := make([]string, size)
	for n := range addresses {
		var err error
		if addresses[n], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	return startAt(ctx, programs, dir, addresses, doors)
}

// StartAt is [Start] at three addresses (host:port) of this machine, where clients
// that are on another can reach the brokers.
func StartAt(ctx context.Context, programs Programs, dir string, addresses []string) (*Cluster, error) {
	return startAt(ctx, programs, dir, addresses, nil)
}

func startAt(ctx context.Context, programs Programs, dir string, addresses []string, doors []Door) (_ *Cluster, err error) {
	c := &Cluster{}
	defer func() {
		if err != nil {
			c.Kill()
		}
	}()
	var voters []string
	for id := 1; id <= size; id++ {
		b := &Broker{
			ID: int32(id), Address: addresses[id-1],
			programs: programs, dir: filepath.Join(dir, "broker-"+strconv.Itoa(id)),
		}
		if doors != nil {
			b.door = doors[id-1]
		}
		if b.controller, err = freeAddress(); err != nil {
			return nil, err
		}
		voters = append(voters, fmt.Sprintf("%d@%s", id, b.controller))
		c.Brokers = append(c.Brokers, b)
	}
	err = c.each(func(b *Broker) error {
		if err := b.format(ctx, strings.Join(voters, ",")); err != nil {
			return err
		}
		return b.Start(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	return c, c.AwaitAll(ctx)
}

func freeAddress() (string, error) {
	port, err := stack.FreePort()
	return "127.0.0.1:" + strconv.Itoa(port), err
}

func (c *Cluster) each(do func(*Broker) error) error {
	errs := make([]error, len(c.Brokers))
	var all sync.WaitGroup
	for n, b := range c.Brokers {
		all.Go(func() { errs[n] = do(b) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Addresses are those of all brokers.
func (c *Cluster) Addresses() []string {
	all := make([]string, len(c.Brokers))
	for n, b := range c.Brokers {
		all[n] = b.Address
	}
	return all
}

// Broker is the one with that node id.
func (c *Cluster) Broker(id int32) *Broker { return c.Brokers[id-1] }

// AwaitAll waits until all brokers take part and every replica of every
// partition is in sync: only then may the next broker be taken away.
func (c *Cluster) AwaitAll(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addresses()...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		missing, err := missing(ctx, admin)
		if err == nil && missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for Kafka to be whole: %w; at last: %s (%w)", ctx.Err(), missing, err)
		case <-tick.C:
		}
	}
}

// missing says what a whole cluster has and this one has not.
func missing(ctx context.Context, admin *kadm.Client) (string, error) {
	m, err := admin.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if len(m.Brokers) < size {
		return fmt.Sprintf("%d of %d brokers", len(m.Brokers), size), nil
	}
	lagging := ""
	m.Topics.EachPartition(func(p kadm.PartitionDetail) {
		if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			lagging = fmt.Sprintf("%s/%d has leader %d and %v of %v in sync", p.Topic, p.Partition, p.Leader, p.ISR, p.Replicas)
		}
	})
	return lagging, nil
}

// Kill ends all brokers at once: their data is not wanted any more.
func (c *Cluster) Kill() {
	_ = c.each(func(b *Broker) error { b.Kill(); return nil })
}
