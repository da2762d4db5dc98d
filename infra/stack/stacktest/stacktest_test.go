package stacktest_test

import (
	"context"
	"testing"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/views"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestDatabasesAreMigratedAndApart(t *testing.T) {
	t.Parallel()
	var names [2]string
	for i := range names {
		conn, err := pgx.Connect(t.Context(), stacktest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (n int)"); err != nil {
			t.Fatal(err)
		}
		var migrated bool
		const query = "SELECT current_database(), EXISTS (SELECT FROM public.goose_db_version WHERE version_id >= 1)"
		if err := conn.QueryRow(t.Context(), query).Scan(&names[i], &migrated); err != nil {
			t.Fatal(err)
		}
		if !migrated {
			t.Errorf("%s was not migrated", names[i])
		}
	}
	if names[0] == names[1] {
		t.Errorf("both got %s", names[0])
	}
}

func TestRedisesAreEmptyAndApart(t *testing.T) {
	t.Parallel()
	for range 2 {
		client, err := views.Open(t.Context(), stacktest.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
			t.Errorf("a new Redis has %d keys, error %v", n, err)
		}
		if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Error(err)
		}
	}
}

func TestKafkaTakesAndKeepsRecords(t *testing.T) {
	t.Parallel()
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	producer, err := sarama.NewSyncProducer(stacktest.Kafka(t), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "trade-events", Value: sarama.StringEncoder("x")})
	if err != nil || offset != 0 {
		t.Errorf("offset %d, error %v", offset, err)
	}
}

func TestStandbyFollowsAndTakesOver(t *testing.T) {
	t.Parallel()
	primary := stacktest.PostgresServer(t)
	standby := stacktest.StandbyOf(t, primary, primary.URL, "standby")
	primary.Synchronous(t, "standby")
	primary.Exec(t, "CREATE TABLE mine (n int)")
	primary.Kill(t)
	standby.Exec(t, "SELECT pg_promote()")
	standby.Exec(t, "INSERT INTO mine VALUES (1)")
}

func TestRedisClusterIsWhole(t *testing.T) {
	t.Parallel()
	cluster := stacktest.RedisCluster(t)
	client, err := views.Open(t.Context(), cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := client.Set(t.Context(), key, key, 0).Err(); err != nil {
			t.Error(err)
		}
	}
}
