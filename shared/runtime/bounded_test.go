package runtime

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/shared/event"
)

// A process that froze in the middle of a transaction, or whose node is gone,
// holds up nobody for good: PostgreSQL ends the transaction.
func TestFrozenProcessLetsGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.process(t, add("a", "x", 0, 1))
	frozen, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close(context.Background()) //nolint:errcheck // PostgreSQL has closed it
	for _, statement := range []string{"BEGIN", prepared, "SELECT FROM millrace.entities FOR UPDATE"} {
		if _, err := frozen.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, kinds(w.process(t, add("b", "x", 0, 2))), "applied ")
	if frozen.Ping(t.Context()) == nil {
		t.Error("the transaction of the frozen process was never ended")
	}
	expect(t, w.summary(t, "x"), "total=3 version=2 audit=a:applied,b:applied")
}

// An event that lacks an attribute is found by the others that it has.
func TestDeadLetterKeepsWhatCouldBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expect(t, kinds(w.process(t, event.ParseStructured([]byte(
		`{"specversion":"1.0","id":"K-3","source":"/kcat","type":"counter.added.v1","subject":"x\u0001","tenantid":"acme","data":{}}`)))), "dead ")
	expect(t, w.text(t, `SELECT concat_ws(' ', tenant_id, source, event_id, type, subject, reason) FROM millrace.dead_letters`),
		"acme /kcat K-3 counter.added.v1 x\x01 bad-attribute")
}

// Months are made while a function writes into the tables that they belong to.
func TestMonthsAreMadeUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan int, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if _, err := w.Process(t.Context(), []event.Received{add(fmt.Sprint("e", n), "x", 0, 1)}); err != nil {
				t.Error(err)
			}
		}
		written <- n
	}()
	tables := w.text(t, `SELECT count(*)::text FROM millrace.monthly_tables`)
	made := 0
	err := maintenance.Months(t.Context(), w.url, maintenance.Config{
		Now: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC), Ahead: 1,
		Tell: func(d maintenance.Done) {
			if d.Did == maintenance.Made {
				made += len(d.Months)
			}
		},
	})
	if err != nil || fmt.Sprint(made/3) != tables {
		t.Errorf("made %d months of %s tables: %v", made, tables, err)
	}
	stop()
	acknowledged := <-written
	expect(t, w.text(t, `SELECT count(*)::text FROM millrace.audit`), fmt.Sprint(acknowledged))
}
