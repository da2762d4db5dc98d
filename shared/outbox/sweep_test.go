package outbox

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Two sweepers at once publish each row once.
func TestTwoSweepers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var claims []Claim
	for n := range 80 {
		claims = append(claims, w.commit(t, change{subjects: []string{subjectOf(n)}, by: 1, emits: 1}))
	}
	var total [2]int
	var both sync.WaitGroup
	for n := range total {
		both.Go(func() {
			var err error
			if total[n], err = w.relay().Sweep(t.Context(), 0, 3); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if total[0]+total[1] != len(claims) || len(w.kafka.messages) != len(claims) {
		t.Errorf("took %v of %d rows, %d messages", total, len(claims), len(w.kafka.messages))
	}
	mustSettle(t, w, claims...)
}

// A row of a transaction that commits late has a smaller id than rows that are
// swept before it is seen. It is swept all the same.
func TestSweepSkipsNoTransactionInFlight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var slow Claim
	if err := w.write(t.Context(), tx, change{subjects: []string{"slow"}, by: 1, emits: 1}, &slow); err != nil {
		t.Fatal(err)
	}
	quick := Claim{Function: "tally", Entities: []Entity{{tenant, "nobody", 1}}}
	b := &pgx.Batch{}
	if err := quick.Queue(b, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.pool.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	if quick.ID <= slow.ID {
		t.Fatalf("ids %d and %d", quick.ID, slow.ID)
	}
	if n, err := r.Sweep(t.Context(), 0, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Sweep(t.Context(), 0, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	mustSettle(t, w, slow)
}

// A row that cannot be read stays, and its neighbours are published.
func TestSweepLeavesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := w.commit(t, change{subjects: []string{"a"}, by: 1})
	w.exec(t, `UPDATE millrace.outbox SET emitted = '[{"specversion":"0.3"}]' WHERE id = $1`, bad.ID)
	good := w.commit(t, change{subjects: []string{"b"}, by: 1, emits: 1})
	if n, err := w.relay().Sweep(t.Context(), 0, 1); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if w.kafka.topic("note-events") != 1 {
		t.Error("the neighbour is not published")
	}
	w.exec(t, `UPDATE millrace.outbox SET emitted = NULL, claimed_until = NULL WHERE id = $1`, bad.ID)
	if _, err := w.relay().Sweep(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	mustSettle(t, w, good)
}

// Rows that another sweep took are left to it until its lease is over; those of
// functions that this relay does not know, for ever.
func TestSweepLeavesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	taken := w.commit(t, change{subjects: []string{"a"}, by: 1})
	w.exec(t, `UPDATE millrace.outbox SET claimed_until = now() + interval '1 hour'`)
	w.commit(t, change{subjects: []string{"b"}, by: 1})
	w.exec(t, `UPDATE millrace.outbox SET function = 'newer' WHERE id <> $1`, taken.ID)
	r := w.relay()
	if n, err := r.Sweep(t.Context(), 0, 10); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	w.exec(t, `UPDATE millrace.outbox SET claimed_until = now()`)
	if n, err := r.Sweep(t.Context(), 0, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}

// Large rows are taken a few at a time.
func TestSweepBoundsItsMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		c := w.commit(t, change{subjects: []string{"a"}, by: 1, emits: 1})
		w.exec(t, `UPDATE millrace.outbox SET emitted = json_build_array(emitted->0, jsonb_set((emitted->0)::jsonb, '{data}', to_jsonb(repeat('x', 7000000))))
			WHERE id = $1`, c.ID)
	}
	r := w.relay()
	var now span
	if err := w.pool.QueryRow(t.Context(), `SELECT now(), now()`).Scan(&now.start, &now.before); err != nil {
		t.Fatal(err)
	}
	claims, n, err := r.take(t.Context(), now, 10, everything)
	if err != nil || n != 3 || len(claims) != 3 {
		t.Fatal(n, err)
	}
}

// What fails is tried once in a sweep, however short the lease is.
func TestSweepEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kafka.fail(unsentOf("note-events"), nil)
	for range 5 {
		c := w.commit(t, change{subjects: []string{"a"}, by: 1, emits: 1})
		w.exec(t, `UPDATE millrace.outbox SET emitted = json_build_array(emitted->0, jsonb_set((emitted->0)::jsonb, '{type}', '"other.t.v1"'))
			WHERE id = $1`, c.ID) // one of two gets through, so it is no outage
	}
	r := w.relay(func(c *RelayConfig) { c.Lease = time.Nanosecond })
	if n, err := r.Sweep(t.Context(), 0, 1); n != 5 || err == nil || IsUnreachable(err) {
		t.Fatal(n, err)
	}
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	for n := range 5 {
		w.commit(t, change{subjects: []string{"a"}, by: 1, emits: n % 2})
	}
	for limit, want := range map[int]int{1: 1, 2: 2, 10: 2} {
		if n, err := r.Backlog(t.Context(), "tally", limit); err != nil || n != want {
			t.Errorf("limit %d: %d, %v", limit, n, err)
		}
	}
	if n, err := r.Backlog(t.Context(), "other", 10); err != nil || n != 0 {
		t.Error(n, err)
	}
}

// A process whose clock is ahead does not hide its rows from the sweeper.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := Claim{Function: "tally", Entities: []Entity{{tenant, "nobody", 1}}}
	b := &pgx.Batch{}
	if err := c.Queue(b, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := w.pool.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.relay().Sweep(t.Context(), 0, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}
