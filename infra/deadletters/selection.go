package deadletters

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The states of a dead letter.
const (
	Open      = "open"
	Redriving = "redriving" // sent again, and not decided yet
	Redriven  = "redriven"
	Dropped   = "dropped"
)

// Selection says which dead letters: those that fit all that is set.
type Selection struct {
	IDs                                        []uuid.UUID
	Functions, Tenants, Reasons, Kinds, States []string
	Subjects, Sources, EventIDs, Types         []string
	Since, Until                               time.Time // since inclusive, until exclusive
}

// where is the condition, for args from the first on; more are the arguments
// before its own.
func (s *Selection) where(more ...any) (condition string, args []any) {
	args = more
	var all []string
	add := func(format string, value any) {
		args = append(args, value)
		all = append(all, fmt.Sprintf(format, len(args)))
	}
	if len(s.IDs) > 0 {
		add("id = ANY ($%d::uuid[])", s.IDs)
	}
	for _, in := range []struct {
		column string
		values []string
	}{
		{"function", s.Functions}, {"tenant_id", s.Tenants}, {"reason", s.Reasons}, {"kind", s.Kinds}, {"state", s.States},
		{"subject", s.Subjects}, {"source", s.Sources}, {"event_id", s.EventIDs}, {"type", s.Types},
	} {
		if len(in.values) > 0 {
			add(in.column+" = ANY ($%d::text[])", in.values)
		}
	}
	if !s.Since.IsZero() {
		add("created_at >= $%d", s.Since)
	}
	if !s.Until.IsZero() {
		add("created_at < $%d", s.Until)
	}
	if len(all) == 0 {
		return "true", args
	}
	return strings.Join(all, " AND "), args
}
