package cli_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
)

// TestSimulateSendsWhatItsSeedSays reads back from Kafka what the generator
// makes of the same settings.
func TestSimulateSendsWhatItsSeedSays(t *testing.T) {
	brokers := stacktest.Kafka(t)
	t.Setenv("KAFKA_BROKERS", strings.Join(brokers, ","))
	status, out := run(t, "simulate", "--seed=7", "--start=2026-03-14T09:26:53Z", "--events=300", "--rate=20000", "--sequences",
		"--duplicates=0.1", "--reorder=0.1", "--gaps=0.1", "--open-gaps=0.5", "--poison=0.1", "--tenants=3", "--only=trade,message")
	if status != 0 {
		t.Fatalf("status %d: %s", status, out)
	}
	s := traffic.Defaults()
	s.Seed, s.Start, s.Rate, s.Events, s.Sequences = 7, time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), 20_000, 300, true
	s.Duplicates, s.Reorder, s.Gaps, s.OpenGaps, s.Poison, s.Tenants = 0.1, 0.1, 0.1, 0.5, 0.1, 3
	if err := s.Only("trade", "message"); err != nil {
		t.Fatal(err)
	}
	g, err := traffic.New(s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for r, ok := g.Next(); ok; r, ok = g.Next() {
		want[text(r.Topic, r.Key, r.Value, len(r.Headers))]++
	}
	expected := g.Expected()
	if got := consume(t, brokers, expected.Records); !maps.Equal(got, want) {
		t.Errorf("Kafka has %d different records, want %d", len(got), len(want))
	}
	for _, line := range []string{
		fmt.Sprintf("Kafka has %d records", expected.Records), "trade.executed.v1", "message.sent.v1", "--seed 7",
		fmt.Sprintf("%d duplicates", expected.Duplicates), fmt.Sprintf("%d stay parked", expected.Parked),
		fmt.Sprintf("%d were never sent", expected.Lost), fmt.Sprintf("%d poison: ", expected.Poisoned()),
	} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is missing in %s", line, out)
		}
	}
}

func text(topic string, key, value []byte, headers int) string {
	return fmt.Sprintf("%s %q %q %d", topic, key, value, headers)
}

func consume(t *testing.T, brokers []string, n int) map[string]int {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topics.Events("trade"), topics.Events("message")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got := map[string]int{}
	for n > 0 {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got[text(r.Topic, r.Key, r.Value, len(r.Headers))]++
			n--
		})
	}
	return got
}

// TestSimulateEndsWithASummary sends a signal in the middle; what was held back
// still comes.
func TestSimulateEndsWithASummary(t *testing.T) {
	t.Parallel()
	brokers := stacktest.Kafka(t)
	cmd := exec.Command(os.Args[0], "simulate", "--rate=500", "--gaps=0.5", "--sequences", "--only=trade")
	cmd.Env = append(os.Environ(), "CLI_TEST_ROLE=millrace", "KAFKA_BROKERS="+strings.Join(brokers, ","))
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	first := slices.Collect(maps.Keys(consume(t, brokers, 100)))
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || len(first) == 0 {
		t.Fatalf("%v: %s", err, out.String())
	}
	if all := out.String(); !strings.Contains(all, "Kafka has ") || !strings.Contains(all, "closed their gap") || strings.Contains(all, "not said so") {
		t.Errorf("the summary is %s", all)
	}
	records, err := strconv.Atoi(strings.Fields(out.String())[2])
	if err != nil {
		t.Fatal(err)
	}
	consume(t, brokers, records)
}
