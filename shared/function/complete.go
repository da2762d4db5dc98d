package function

import (
	"errors"
	"fmt"
	"strings"
)

// Check names everything that is missing in f: it would show only under events,
// and make dead letters of them.
func (f *Function[S]) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if f.Name == "" {
		wrong("the function has no name")
	}
	types := map[string]bool{}
	for _, r := range f.Rules {
		if types[r.eventType] {
			wrong("there are two rules for %s", r.eventType)
		}
		types[r.eventType] = true
		if rest, ours := strings.CutPrefix(r.eventType, f.Name+"."); !ours || rest == "" {
			wrong("type %q does not begin with %q", r.eventType, f.Name+".")
		}
	}
	if f.Load == nil || f.Save == nil || f.LoadAll == nil {
		wrong("Load, Save or LoadAll is missing")
	}
	if f.Views != nil && f.LoadViews == nil {
		wrong("Views is there, and LoadViews is missing")
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("function %s: %w", f.Name, err)
	}
	return nil
}
