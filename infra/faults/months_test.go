package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/infra/maintenance"
	"github.com/millrace/millrace/shared/event"
)

// TestMonthIsMissing: nobody has made the month of an event, and another event
// says that it happened in the year 9999.
func TestMonthIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stores{}, "trade", "position", "ledger")
	w.startRelay(t)
	if err := maintenance.Months(t.Context(), w.databaseURL, maintenance.Config{Now: now, Ahead: 1}); err != nil {
		t.Fatal(err)
	}
	at := func(when time.Time) func(id, subject string) *event.Event {
		return func(id, subject string) *event.Event {
			e := executed(id, subject)
			e.Time = when
			return e
		}
	}
	unmade := time.Date(2003, 5, 17, 12, 0, 0, 0, time.UTC)
	w.send(t, some(20, "unmade", at(unmade))...)
	w.send(t, some(3, "far", at(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)))...)
	w.send(t, some(20, "today", executed)...)
	w.holds(t)
	for table, want := range map[string]int{"trades_default": 20, "entries_default": 20, "fills_default": 20, "dead_letters": 3} {
		if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM millrace.%s`, table)); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
	// Made now, the month takes what is there, and what comes.
	if err := maintenance.Months(t.Context(), w.databaseURL, maintenance.Config{Now: now, Ahead: 1}); err != nil {
		t.Fatal(err)
	}
	w.send(t, some(20, "later", at(unmade))...)
	w.holds(t)
	for table, want := range map[string]int{"trades_default": 0, "trades_2003_05": 40, "postings_2003_05": 160} {
		if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM millrace.%s`, table)); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
}
