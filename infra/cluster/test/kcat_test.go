package test_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/infra/topics"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
)

// Events that kcat produces reach functions at zero pods through the batch trigger,
// in order, each once.
func TestKcatToEffectFromZero(t *testing.T) {
	kcat := stacktest.Kcat(t)
	w := join(t)
	// Without sequences Kafka's order is all there is.
	sent := recordsOf(t, ofAll(t, 300))
	w.awaitZero(t, functions()...)
	for name, of := range byFamily(t, sent) {
		w.produce(t, kcat, topics.Events(name), of)
		t.Logf("kcat has produced %d events to %s", len(of), topics.Events(name))
	}
	w.awaitDecided(t, fromZero, sent)
	w.check(t, sent)
	w.checkOrder(t, sent)
}

// produce sends records as CloudEvents in structured mode, a line each.
func (w *world) produce(t *testing.T, kcat, topic string, all []traffic.Record) {
	t.Helper()
	var lines strings.Builder
	for _, r := range all {
		fmt.Fprintf(&lines, "%s\t%s\n", r.Key, event.AppendJSON(nil, r.Event))
	}
	command := exec.CommandContext(t.Context(), kcat, "-P", "-b", strings.Join(w.brokers, ","), "-t", topic, "-K", "\t",
		"-H", "content-type=application/cloudevents+json; charset=UTF-8", "-X", "acks=all", "-X", "enable.idempotence=true")
	command.Stdin = strings.NewReader(lines.String())
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v: %s", err, out)
	}
}
