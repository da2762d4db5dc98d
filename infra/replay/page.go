package replay

import "github.com/jackc/pgx/v5"

// pageBytes bounds the events that are in memory at a time, but for the last one
// of them.
const pageBytes = 8 << 20

// collect reads rows until they are a page. What is behind that comes over the wire all
// the same, and is read again with the next page: only events of many kilobytes meet
// the bound.
func collect(rows pgx.Rows, scan func(pgx.CollectableRow) (delivery, error)) (page []delivery, err error) {
	defer rows.Close()
	for size := 0; size < pageBytes && rows.Next(); {
		d, err := scan(rows)
		if err != nil {
			return nil, err
		}
		size += len(d.Raw)
		page = append(page, d)
	}
	rows.Close()
	return page, rows.Err()
}
