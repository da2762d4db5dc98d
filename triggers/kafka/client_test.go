package kafka

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	binding "github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	sdk "github.com/cloudevents/sdk-go/v2/binding"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

// Events sent with the plain CloudEvents SDK arrive, in both modes.
func TestEventsOfTheSDK(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, 3)
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	cfg.Producer.Return.Successes = true
	sender, err := binding.NewSender(cluster.ListenAddrs(), cfg, topic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sender.Close(context.Background()) })
	client, err := cloudevents.NewClient(sender)
	if err != nil {
		t.Fatal(err)
	}
	for id, ctx := range map[string]context.Context{
		"binary": sdk.WithForceBinary(context.Background()), "structured": sdk.WithForceStructured(context.Background()),
		"keyed": binding.WithMessageKey(context.Background(), sarama.StringEncoder("account-1")),
	} {
		e := cloudevents.NewEvent()
		e.SetID(id)
		e.SetSource("/sdk")
		e.SetType("trade.executed.v1")
		e.SetSubject("account-1")
		e.SetExtension("tenantid", "acme")
		e.SetExtension("sequence", 7)
		if err := e.SetData(cloudevents.ApplicationJSON, map[string]string{"from": id}); err != nil {
			t.Fatal(err)
		}
		if result := client.Send(ctx, e); cloudevents.IsUndelivered(result) {
			t.Fatal(result)
		}
	}
	wantClients(t, cluster, 3, "binary", "structured", "keyed")
}

// Events sent with kcat arrive: binary and structured mode, with a key and
// without.
func TestEventsOfKcat(t *testing.T) {
	t.Parallel()
	path := stacktest.Kcat(t)
	cluster := newCluster(t, 3)
	binary := func(id string) []string {
		return []string{"-H", "ce_specversion=1.0", "-H", "ce_id=" + id, "-H", "ce_source=/kcat", "-H", "ce_type=trade.executed.v1",
			"-H", "ce_subject=account-1", "-H", "ce_tenantid=acme", "-H", "content-type=application/json"}
	}
	structured := []string{"-H", "content-type=application/cloudevents+json; charset=UTF-8"}
	event := func(id string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/kcat","type":"trade.executed.v1","subject":"account-1","tenantid":"acme","data":{"from":"` + id + `"}}`
	}
	key := []string{"-k", "account-1"}
	for _, send := range []struct {
		args  []string
		value string
	}{
		{binary("binary"), `{"from":"binary"}`}, {append(binary("binary-keyed"), key...), `{"from":"binary-keyed"}`},
		{structured, event("structured")}, {append(structured, key...), event("structured-keyed")},
	} {
		kcat := exec.Command(path, append([]string{"-P", "-b", strings.Join(cluster.ListenAddrs(), ","), "-t", topic}, send.args...)...)
		kcat.Stdin = strings.NewReader(send.value)
		if out, err := kcat.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	wantClients(t, cluster, 4, "binary", "binary-keyed", "structured", "structured-keyed")
}

func wantClients(t *testing.T, cluster *kfake.Cluster, n int, ids ...string) {
	t.Helper()
	sink := newSinkServer(t, nil)
	start(t, testConfig(cluster, sink.URL))
	sink.wantAll(cluster, 3, n)
	got := map[string]testEvent{}
	for _, batch := range sink.batches {
		for _, e := range batch {
			got[e.ID] = e
		}
	}
	for _, id := range ids {
		if e := got[id]; e.Subject != "account-1" || e.Tenant != "acme" || string(e.Data) != `{"from":"`+id+`"}` {
			t.Errorf("%s arrived as %+v", id, e)
		}
	}
}
