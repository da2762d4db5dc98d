package topics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/shared/kafka"
)

// Ensure creates the topics that are missing and returns their names. Topics
// that exist are left as they are: an operator may have given them more
// partitions or a longer retention. The context's deadline bounds each request.
func Ensure(ctx context.Context, brokers []string, s kafka.Security) (created []string, err error) {
	admin, err := Admin(ctx, "millrace-topics", brokers, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()

	members, _, err := admin.DescribeCluster()
	if err != nil {
		return nil, fmt.Errorf("counting Kafka's brokers: %w", err)
	}
	existing, err := admin.ListTopics()
	if err != nil {
		return nil, fmt.Errorf("listing Kafka's topics: %w", err)
	}
	for _, t := range All(len(members)) {
		if _, ok := existing[t.Name]; ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return created, err
		}
		made, err := create(admin, t)
		if err != nil {
			return created, err
		}
		if made {
			created = append(created, t.Name)
		}
	}
	return created, nil
}

// create tells whether it made the topic; one that another process made
// meanwhile is no error.
func create(admin sarama.ClusterAdmin, t Topic) (bool, error) {
	config := make(map[string]*string, len(t.Config))
	for key, value := range t.Config {
		config[key] = &value
	}
	err := admin.CreateTopic(t.Name, &sarama.TopicDetail{
		NumPartitions:     t.Partitions,
		ReplicationFactor: t.ReplicationFactor,
		ConfigEntries:     config,
	}, false)
	if errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("creating topic %s: %w", t.Name, err)
	}
	return true, nil
}

// Admin connects to ask and tell Kafka about topics and groups. The context's
// deadline bounds each request.
func Admin(ctx context.Context, clientID string, brokers []string, s kafka.Security) (sarama.ClusterAdmin, error) {
	config := sarama.NewConfig()
	s.Apply(config)
	config.ClientID = clientID
	config.Version = sarama.V2_6_0_0 // the least that all of this needs
	config.Metadata.Retry.Max = 1
	config.Admin.Timeout = 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		config.Admin.Timeout = max(time.Second, time.Until(deadline))
	}
	config.Net.DialTimeout = config.Admin.Timeout
	admin, err := sarama.NewClusterAdmin(brokers, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka at %s: %w", strings.Join(brokers, ","), err)
	}
	return admin, nil
}
