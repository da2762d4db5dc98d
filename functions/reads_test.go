package functions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/functions/ledger"
	"github.com/millrace/millrace/functions/message"
	"github.com/millrace/millrace/functions/position"
	"github.com/millrace/millrace/functions/trade"
	"github.com/millrace/millrace/infra/skiptest"
	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
	"github.com/millrace/millrace/shared/postgres"
)

// An event about one of an entity's many rows reads that one, though all
// statements were planned while the tables were empty and nothing told their
// indexes apart.
func TestOneOfManyRowsIsFound(t *testing.T) {
	t.Parallel()
	const many = 300
	for _, c := range []struct {
		fn                function.Definition
		first, firstData  string
		change, changeFmt string // with the id of the first
	}{
		{trade.New(), "trade.executed.v1", `{"instrument":"ACME","side":"buy","quantity":"1","price":"2","currency":"USD"}`,
			"trade.amended.v1", `{"trade":%q,"quantity":"2","price":"2"}`},
		{position.New(), "position.fill-booked.v1", `{"instrument":"ACME","side":"buy","quantity":"1","price":"2","currency":"USD"}`,
			"position.fill-amended.v1", `{"fill":%q,"quantity":"2","price":"2"}`},
		{ledger.New(), "ledger.posted.v1", `{"description":"","postings":[{"account":"a","currency":"USD","amount":"1"},{"account":"b","currency":"USD","amount":"-1"}]}`,
			"ledger.reversed.v1", `{"entry":%q}`},
		{message.New(), "message.sent.v1", `{"author":"ann","text":"hello"}`,
			"message.edited.v1", `{"message":%q,"text":"good day"}`},
	} {
		t.Run(c.fn.FunctionName(), func(t *testing.T) {
			t.Parallel()
			conn := functiontest.Connect(t, stacktest.Postgres(t))
			if _, err := conn.Exec(t.Context(), "SELECT "+strings.ReplaceAll(postgres.PlanSettings, "true)", "false)")); err != nil {
				t.Fatal(err)
			}
			store := functiontest.NewStore(c.fn, conn)
			decide := func(events ...*event.Event) {
				t.Helper()
				for n, refusal := range store.Batch(t.Context(), t, events) {
					if refusal != "" {
						t.Fatalf("%s was refused: %s", events[n].Data, refusal)
					}
				}
			}
			first := func(n int) *event.Event {
				return functiontest.Event(c.first, "entity", "/source", fmt.Sprintf("first-%03d", n), c.firstData)
			}
			change := func(n int) *event.Event {
				return functiontest.Event(c.change, "entity", "/source", fmt.Sprintf("later-%03d", n), // in the order of names too
					fmt.Sprintf(c.changeFmt, fmt.Sprintf("first-%03d", n)))
			}
			decide(first(0))
			decide(change(0))
			for n := 1; n < many; n++ {
				decide(first(n))
			}
			before := entriesRead(t, conn)
			decide(change(many - 1))
			if read := entriesRead(t, conn) - before; read > many/10 {
				t.Errorf("%d index entries were read to change one of %d rows", read, many)
			}
		})
	}
}

// entriesRead returns how many entries of indexes the connection has read.
func entriesRead(t *testing.T, conn *pgx.Conn) (read int) {
	t.Helper()
	if conn.PgConn().ParameterStatus("server_version") < "15" {
		skiptest.Missing(t, "PostgreSQL is older than 15, which tells at once what was read")
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
		t.Fatal(err)
	}
	const sum = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = 'millrace'"
	if err := conn.QueryRow(t.Context(), sum).Scan(&read); err != nil {
		t.Fatal(err)
	}
	return read
}
