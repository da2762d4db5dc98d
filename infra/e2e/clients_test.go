package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/shared/views"
)

// clientsTenant is not one of those of the random test.
const clientsTenant = "clients"

// clientTrade is what every client sends, each about an account of its own.
const clientTrade = `{"instrument":"AAPL","side":"buy","quantity":"12.5","price":"8","currency":"USD","fee":"1"}`

// TestRealClients sends trades with the tools that others use, which know
// nothing of Millrace, and finds them in PostgreSQL and Redis.
func TestRealClients(t *testing.T) {
	w := theWorld(t)
	for _, client := range []struct {
		name string
		send func(t *testing.T, w *world, account, id string)
	}{
		{"kcat, binary, keyed", kcatBinary("-k", "any key")},
		{"kcat, binary, keyless", kcatBinary()},
		{"kcat, structured, keyed", kcatStructured("-k", "any key")},
		{"kcat, structured, keyless", kcatStructured()},
		{"CloudEvents SDK, binary, keyed", sdk(binding.WithForceBinary, "any key")},
		{"CloudEvents SDK, binary, keyless", sdk(binding.WithForceBinary, "")},
		{"CloudEvents SDK, structured, keyed", sdk(binding.WithForceStructured, "any key")},
		{"CloudEvents SDK, structured, keyless", sdk(binding.WithForceStructured, "")},
	} {
		t.Run(client.name, func(t *testing.T) {
			account := strings.ReplaceAll(client.name, ", ", "/")
			id := "trade of " + account
			client.send(t, w, account, id)
			w.awaitEffect(t, account, id)
		})
	}
}

// kcat runs kcat as a producer of one record. It is the Debian package kcat,
// formerly kafkacat, whose name the program had too.
func kcat(t *testing.T, w *world, value string, args ...string) {
	t.Helper()
	program := stacktest.Kcat(t)
	args = append([]string{"-P", "-b", strings.Join(w.platform.Addresses.KafkaBrokers, ","), "-t", topics.Events("trade")}, args...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(value)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v: %s", err, out)
	}
}

func kcatBinary(key ...string) func(t *testing.T, w *world, account, id string) {
	return func(t *testing.T, w *world, account, id string) {
		t.Helper()
		kcat(t, w, clientTrade, append(key,
			"-H", "ce_specversion=1.0", "-H", "ce_type=trade.executed.v1", "-H", "ce_source=/kcat", "-H", "ce_id="+id,
			"-H", "ce_tenantid="+clientsTenant, "-H", "ce_subject="+account, "-H", "ce_time="+now(), "-H", "content-type=application/json")...)
	}
}

func kcatStructured(key ...string) func(t *testing.T, w *world, account, id string) {
	return func(t *testing.T, w *world, account, id string) {
		t.Helper()
		kcat(t, w, fmt.Sprintf(`{"specversion":"1.0","type":"trade.executed.v1","source":"/kcat","id":%q,"tenantid":%q,`+
			`"subject":%q,"time":%q,"datacontenttype":"application/json","data":%s}`, id, clientsTenant, account, now(), clientTrade),
			append(key, "-H", "content-type=application/cloudevents+json")...)
	}
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// sdk sends with the CloudEvents SDK and its Kafka protocol as their
// documentation shows it.
func sdk(mode func(context.Context) context.Context, key string) func(t *testing.T, w *world, account, id string) {
	return func(t *testing.T, w *world, account, id string) {
		t.Helper()
		config := sarama.NewConfig()
		config.Version = sarama.V2_6_0_0
		sender, err := kafka_sarama.NewSender(w.platform.Addresses.KafkaBrokers, config, topics.Events("trade"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = sender.Close(context.WithoutCancel(t.Context())) }()
		client, err := cloudevents.NewClient(sender, cloudevents.WithTimeNow(), cloudevents.WithUUIDs())
		if err != nil {
			t.Fatal(err)
		}
		e := cloudevents.NewEvent()
		e.SetID(id)
		e.SetType("trade.executed.v1")
		e.SetSource("/sdk")
		e.SetSubject(account)
		e.SetExtension("tenantid", clientsTenant)
		if err := e.SetData(cloudevents.ApplicationJSON, []byte(clientTrade)); err != nil {
			t.Fatal(err)
		}
		ctx := mode(t.Context())
		if key != "" {
			ctx = kafka_sarama.WithMessageKey(ctx, sarama.StringEncoder(key))
		}
		if result := client.Send(ctx, e); cloudevents.IsUndelivered(result) {
			t.Fatalf("sending: %v", result)
		}
	}
}

// awaitEffect waits for the trade, and for what follows from it, in PostgreSQL
// and in Redis.
func (w *world) awaitEffect(t *testing.T, account, id string) {
	t.Helper()
	const effects = `
SELECT (SELECT outcome FROM millrace.audit WHERE function = 'trade' AND tenant_id = $1 AND subject = $2 AND id = $3),
       (SELECT quantity::text FROM millrace.positions WHERE tenant_id = $1 AND account = $2 AND instrument = 'AAPL'),
       (SELECT amount::text FROM millrace.balances WHERE tenant_id = $1 AND account = $2 AND currency = 'USD')`
	var outcome, quantity, balance *string
	stacktest.Eventually(t, time.Minute, "the rows of "+id, func(ctx context.Context) bool {
		err := w.pool.QueryRow(ctx, effects, clientsTenant, account, id).Scan(&outcome, &quantity, &balance)
		return err == nil && outcome != nil && quantity != nil && balance != nil
	})
	if *outcome != "applied" || *quantity != "12.5" || *balance != "-101" {
		t.Errorf("%s, quantity %s, balance %s", *outcome, *quantity, *balance)
	}
	stacktest.Eventually(t, time.Minute, "the views of "+id, func(ctx context.Context) bool {
		trades, err := views.ReadRecent(ctx, w.redis, views.Key(clientsTenant, "trades", account))
		position, errPosition := views.ReadHash(ctx, w.redis, views.Key(clientsTenant, "position", account, "AAPL"))
		balances, errBalances := views.ReadHash(ctx, w.redis, views.Key(clientsTenant, "balances", account))
		return err == nil && errPosition == nil && errBalances == nil &&
			slices.ContainsFunc(trades, func(trade string) bool { return strings.Contains(trade, fmt.Sprintf("%q", id)) }) &&
			position.Fields["quantity"] == "12.5" && balances.Fields["USD"] == "-101"
	})
}
