package outbox

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// BenchmarkPublish publishes what a transaction of 500 events tells: 500
// entities with their views, two emitted events each.
func BenchmarkPublish(b *testing.B) {
	w := newWorld(b)
	r := w.relay()
	for b.Loop() {
		b.StopTimer()
		claim := Claim{Function: "tally"}
		err := pgx.BeginFunc(b.Context(), w.pool, func(tx pgx.Tx) error {
			return w.write(b.Context(), tx, change{subjects: subjects(0, 500), by: 1, emits: 2}, &claim)
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := r.Publish(b.Context(), []Claim{claim}); err != nil {
			b.Fatal(err)
		}
		w.kafka.messages = w.kafka.messages[:0]
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}
