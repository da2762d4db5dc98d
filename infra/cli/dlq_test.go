package cli_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/millrace/millrace/functions/message"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/outbox"
	"github.com/millrace/millrace/shared/runtime"
)

// What was taken away on purpose is not shown as if it had come so.
func TestShowAttributesOnly(t *testing.T) {
	s := decided(t)
	processor := runtime.NewProcessor(message.New(), s.pool, runtime.Limits{Drain: 100, Parked: 100, DeadLetters: 100},
		slog.New(slog.DiscardHandler), func(outbox.Claim) {})
	secret := event.ParseStructured([]byte(`{"specversion":"2.0","id":"M1","source":"/chat","data":{"text":"4711"}}`))
	if _, err := processor.Process(t.Context(), []event.Received{secret}); err != nil {
		t.Fatal(err)
	}
	var id string
	if err := s.pool.QueryRow(t.Context(), `SELECT id::text FROM millrace.dead_letters`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	status, out := run(t, "dlq", "show", id)
	if status != 0 || !strings.Contains(out, "This is all that was kept") || strings.Contains(out, "4711") {
		t.Errorf("status %d: %s", status, out)
	}
}
