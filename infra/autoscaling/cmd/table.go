package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/infra/autoscaling"
)

// table is Markdown that is aligned, so that it reads in a terminal too.
func (c comparison) table(results []autoscaling.Result) string {
	rows := [][]string{{"settings", "pods", "most", "triggers", "p50", "p95", "max", "over 1 s", "backlog", "changes", "returns", "to zero", "database"}}
	for i, r := range results {
		rows = append(rows, []string{c.rows[i].settings.Name,
			fmt.Sprintf("%.2f", r.Pods), strconv.Itoa(r.MaxPods), fmt.Sprintf("%.1f", r.Triggers),
			short(r.Others.Quantile(0.5)), short(r.Others.Quantile(0.95)), short(r.Others.Max),
			percent(r.Late, r.Arrived), thousands(r.MaxBacklog),
			strconv.Itoa(r.Changes), strconv.Itoa(r.Returns), c.zero(r), fmt.Sprintf("%d µs", r.Database.Microseconds())})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var text strings.Builder
	for i, row := range rows {
		for j, cell := range row {
			pad := strings.Repeat(" ", widths[j]-len([]rune(cell)))
			if j == 0 {
				cell, pad = cell+pad, ""
			}
			text.WriteString("| " + pad + cell + " ")
		}
		text.WriteString("|\n")
		if i == 0 {
			text.WriteString("| " + strings.Repeat("-", widths[0]) + " ")
			for _, w := range widths[1:] {
				text.WriteString("| " + strings.Repeat("-", w-1) + ": ")
			}
			text.WriteString("|\n")
		}
	}
	return text.String()
}

func (c comparison) zero(r autoscaling.Result) string {
	if c.traffic.Ends == c.traffic.Length || r.ToZero < 0 {
		return "-"
	}
	return short(r.ToZero)
}

func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
}

// percent has two digits that say something, down to one event in a hundred
// thousand.
func percent(part, whole int) string {
	switch share := 100 * float64(part) / float64(max(1, whole)); {
	case part > 0 && share < 0.001:
		return "<0.001%"
	case part > 0 && share < 0.1:
		return fmt.Sprintf("%.2g%%", share)
	default:
		return fmt.Sprintf("%.1f%%", share)
	}
}

func thousands(n int) string {
	if n < 10000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d k", (n+500)/1000)
}

// update puts tables into the document, each between its two marks.
func update(path string, tables map[string]string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for name, table := range tables {
		from, to := []byte("<!-- table "+name+" -->\n"), []byte("<!-- end -->")
		before, rest, found := bytes.Cut(text, from)
		_, after, ended := bytes.Cut(rest, to)
		if !found || !ended {
			return fmt.Errorf("%s has no place for the table %s", path, name)
		}
		text = bytes.Join([][]byte{before, from, []byte(table), to, after}, nil)
	}
	return os.WriteFile(path, text, 0o644) //nolint:gosec // the folder is the operator's
}
