package replay

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/infra/stack/stacktest"
)

func TestAPageIsBounded(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), stacktest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for size, want := range map[int]int{100: 20, 1 << 20: pageBytes >> 20, 2 * pageBytes: 1} {
		rows, err := conn.Query(t.Context(), `SELECT repeat('x', $1) FROM generate_series(1, 20)`, size)
		if err != nil {
			t.Fatal(err)
		}
		page, err := collect(rows, func(row pgx.CollectableRow) (d delivery, err error) {
			return d, row.Scan(&d.Raw)
		})
		if err != nil || len(page) != want {
			t.Errorf("of 20 events of %d bytes %d are a page, want %d; %v", size, len(page), want, err)
		}
	}
}
