package outbox

import "testing"

// After a failover that loses its tail the database gives the ids of rows that it
// lost to others. A process that still tells of a lost row must not take out what
// another transaction has to tell, be it the whole row or a part of it.
func TestReusedIDs(t *testing.T) {
	t.Parallel()
	for name, letters := range map[string][]string{"all is told": nil, "a part is told": {"letter"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			lost := w.commit(t, change{subjects: []string{"lost"}, by: 1, emits: 1, letters: letters})
			w.exec(t, `DELETE FROM millrace.outbox`)
			w.exec(t, `DELETE FROM millrace.dead_letters`)
			w.exec(t, `ALTER TABLE millrace.outbox ALTER COLUMN id RESTART`)
			other := w.commit(t, change{subjects: []string{"other"}, by: 1, emits: 1, letters: letters})
			if other.ID != lost.ID {
				t.Fatal(other.ID, lost.ID)
			}
			w.kafka.failOn("tally-events-dead-letter", failed)
			if err := w.relay().Publish(t.Context(), []Claim{lost}); (err != nil) != (letters != nil) {
				t.Fatal(err)
			}
			w.kafka.failOn("", none)
			if n, err := w.relay().Sweep(t.Context(), 0, 10); err != nil || n != 1 {
				t.Fatal(n, err)
			}
			if err := w.relay().Restore(t.Context(), Part{}); err != nil { // of "lost", which is no concern here
				t.Fatal(err)
			}
			mustSettle(t, w, other)
		})
	}
}
