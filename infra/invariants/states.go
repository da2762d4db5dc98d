package invariants

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/function"
)

var readsTable = regexp.MustCompile(`(?:FROM|JOIN)\s+millrace\.(\w+)`)

// tablesOf names the tables that a function's states are stored in: those that it
// loads them from. A member of a state that is called as a table is stored there,
// one row for each of its elements; the rest, under the empty name, in the first.
func tablesOf(fn function.Definition) map[string]string {
	b := &pgx.Batch{}
	fn.QueueLoadAll(b, []function.Instance{fn.NewEntity(function.Head{})})
	tables := map[string]string{}
	for _, query := range b.QueuedQueries {
		for _, found := range readsTable.FindAllStringSubmatch(query.SQL, -1) {
			tables[found[1]] = "millrace." + found[1]
			tables[""] = cmp.Or(tables[""], tables[found[1]])
		}
	}
	return tables
}

// stateRows says, row by row, where two states of an entity differ.
func stateRows(fn function.Definition, entity, stored, folded string) []Row {
	is, errIs := decodeState(stored)
	should, errShould := decodeState(folded)
	if errIs != nil || errShould != nil {
		return []Row{{Where: fn.FunctionName() + " " + entity, Is: clip(stored), Should: clip(folded)}}
	}
	s := &states{tables: tablesOf(fn), entity: entity}
	s.compare(nil, is, should)
	if len(s.rows) == 0 { // they mean the same, in other words
		return []Row{{Where: fn.FunctionName() + " " + entity, Is: clip(stored), Should: clip(folded)}}
	}
	return s.rows
}

func decodeState(text string) (state any, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return state, dec.Decode(&state)
}

type states struct {
	tables map[string]string
	entity string
	rows   []Row
}

func (s *states) compare(path []string, is, should any) {
	if s.areRows(path) { // an empty member is left out of the text
		is, should = orEmpty(is), orEmpty(should)
	}
	switch should := should.(type) {
	case map[string]any:
		if is, same := is.(map[string]any); same {
			s.compareMembers(path, is, should)
			return
		}
	case []any:
		if is, same := is.([]any); same {
			for n := range max(len(is), len(should)) {
				s.compare(append(slices.Clone(path), strconv.Itoa(n+1)), at(is, n), at(should, n))
			}
			return
		}
	}
	if a, b := render(is), render(should); a != b {
		a, b = parted(a, b)
		s.rows = append(s.rows, Row{Where: s.where(path), Is: a, Should: b})
	}
}

func (s *states) compareMembers(path []string, is, should map[string]any) {
	all := maps.Clone(is)
	maps.Copy(all, should)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s.compare(append(slices.Clone(path), name), is[name], should[name])
	}
}

// areRows reports whether a path leads to a member whose elements are rows.
func (s *states) areRows(path []string) bool {
	return len(path) > 0 && s.tables[path[len(path)-1]] != ""
}

func orEmpty(value any) any {
	if value == nil {
		return map[string]any{}
	}
	return value
}

func at(list []any, n int) any {
	if n < len(list) {
		return list[n]
	}
	return nil
}

// where names the table, the row and the column that a path leads to.
func (s *states) where(path []string) string {
	table, row := s.tables[""], []string{s.entity}
	var column []string
	for n := 0; n < len(path); n++ {
		below, is := s.tables[path[n]]
		if !is {
			column = append(column, path[n])
			continue
		}
		table, column = below, nil
		if n++; n < len(path) {
			row = append(row, path[n])
		}
	}
	return strings.Join(append(append([]string{table}, row...), column...), " ")
}

func render(value any) string {
	if value == nil {
		return "nothing"
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(out.String())
}

// parted bounds two texts that differ, to where they do.
func parted(is, should string) (shownIs, shownShould string) {
	n := 0
	for n < len(is) && n < len(should) && is[n] == should[n] {
		n++
	}
	const before = 60
	if n <= 2*before || max(len(is), len(should)) <= before*4 {
		return clip(is), clip(should)
	}
	cut := func(text string) string { return clip("..." + strings.ToValidUTF8(text[n-before:], "")) }
	return cut(is), cut(should)
}

// clip bounds a text that is shown to people.
func clip(text string) string {
	const limit = 300
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}
