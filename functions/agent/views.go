package agent

import (
	"strconv"
	"time"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// render shows the agent to desktops and routing, which hear of each change;
// the agent's bit among those of the tenant that are signed in; and the flags.
func render(e *function.Entity[Agent]) []views.View {
	a := &e.State
	if a.Version == 0 {
		return nil // all that was told was refused
	}
	return []views.View{
		views.Hash{
			Key: views.Key(e.TenantID, "agent", e.Subject), Version: a.Version, Publish: true,
			Fields: map[string]string{
				"agent":   e.Subject,
				"name":    a.Name,
				"status":  string(a.Status),
				"reason":  a.Reason,
				"since":   a.Since.Format(time.RFC3339Nano),
				"session": strconv.FormatInt(a.Session, 10),
				"skills":  jsonOf(a.Skills, "[]"),
				"version": strconv.FormatInt(a.Version, 10),
			},
		},
		views.Bit{Key: views.Key(e.TenantID, "presence"), Member: e.Subject, Version: a.Version, On: a.signedIn()},
		views.Hash{Key: views.Key(e.TenantID, "features", e.Subject), Version: a.Version, Fields: a.flags()},
	}
}

func (a *Agent) flags() map[string]string {
	flags := make(map[string]string, len(a.Features))
	for name, on := range a.Features {
		flags[name] = strconv.FormatBool(on)
	}
	return flags
}
