package scenario

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5"
)

// rows shows tables whole, in the order of their columns. Of the usual tenant it
// says nothing.
func (w *World) rows(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var out strings.Builder
	for _, arg := range d.CmdArgs {
		if len(d.CmdArgs) > 1 {
			fmt.Fprintf(&out, "%s\n", arg.Key)
		}
		rows := w.query(t, "SELECT * FROM "+pgx.Identifier{"millrace", arg.Key}.Sanitize())
		slices.SortFunc(rows, compareRows)
		out.WriteString(formatRows(rows))
	}
	return out.String()
}

// compareRows compares by column, numbers as numbers: PostgreSQL would sort
// texts by the collation of the database.
func compareRows(a, b row) int {
	for i := range a {
		x, errX := strconv.ParseInt(a[i].value, 10, 64)
		y, errY := strconv.ParseInt(b[i].value, 10, 64)
		order := cmp.Compare(a[i].value, b[i].value)
		if errX == nil && errY == nil {
			order = cmp.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

// row is a row as PostgreSQL writes it.
type row []struct {
	column, value string
	null          bool
}

// query returns the rows of a query, with times in UTC.
func (w *World) query(t *testing.T, sql string) (rows []row) {
	t.Helper()
	conn, err := w.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	results, err := conn.Conn().PgConn().Exec(t.Context(),
		"BEGIN; SET LOCAL timezone = 'UTC'; "+sql+"; COMMIT").ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	for _, result := range results {
		for _, values := range result.Rows {
			r := make(row, len(values))
			for i, value := range values {
				r[i].column, r[i].value, r[i].null = result.FieldDescriptions[i].Name, string(value), value == nil
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// formatRows writes column=value, but for what is null.
func formatRows(rows []row) string {
	var out strings.Builder
	for _, r := range rows {
		var columns []string
		for _, c := range r {
			if c.null || c.column == "tenant_id" && c.value == usual["tenantid"] {
				continue
			}
			columns = append(columns, c.column+"="+quote(c.value))
		}
		fmt.Fprintln(&out, strings.Join(columns, " "))
	}
	return out.String()
}

// shown shows the keys that readers read.
func (w *World) shown(t *testing.T) string {
	t.Helper()
	keys, err := w.redis.Keys(t.Context(), "millrace:{*}").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	var out strings.Builder
	for _, key := range keys {
		fmt.Fprintln(&out, key)
		for _, line := range w.valueOf(t, key) {
			fmt.Fprintln(&out, "  "+line)
		}
	}
	return out.String()
}

func (w *World) valueOf(t *testing.T, key string) (lines []string) {
	t.Helper()
	kind, err := w.redis.Type(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "hash":
		fields := w.redis.HGetAll(t.Context(), key).Val()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			lines = append(lines, name+" "+fields[name])
		}
	case "zset":
		for _, z := range w.redis.ZRevRangeWithScores(t.Context(), key, 0, -1).Val() {
			lines = append(lines, fmt.Sprintf("%v %v", z.Score, z.Member))
		}
	case "string":
		lines = w.bitsOf(t, key)
	case "list":
		lines = w.redis.LRange(t.Context(), key, 0, -1).Val()
	default:
		t.Fatalf("key %s is a %s", key, kind)
	}
	return lines
}

// bitsOf shows whose bits of a bitmap are on and whose are off, by offset.
func (w *World) bitsOf(t *testing.T, key string) []string {
	t.Helper()
	offsets := w.redis.HGetAll(t.Context(), key+":o").Val()
	delete(offsets, "")
	lines := make([]string, len(offsets))
	for member, offset := range offsets {
		n, err := strconv.Atoi(offset)
		if err != nil || n >= len(lines) || lines[n] != "" {
			t.Fatalf("%s: member %q has offset %q of %d", key, member, offset, len(lines))
		}
		lines[n] = fmt.Sprintf("%d %s", w.redis.GetBit(t.Context(), key, int64(n)).Val(), member)
	}
	return lines
}
