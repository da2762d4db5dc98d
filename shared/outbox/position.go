package outbox

import "encoding/json"

// position is how far a rebuild came: the last item that is shown. It is kept on the
// Redis masters that are rebuilt, as JSON.
type position struct {
	Function string `json:"function"`
	Tenant   string `json:"tenant"`
	Name     string `json:"name"`
	Key      string `json:"key"`
	// Failed says that views before it could not be shown, so that at the end the
	// rebuild has to begin again. It does not stop there: what comes after has to be
	// shown too, however often a rebuild is cut off.
	Failed bool `json:"failed"`
}

// readPosition reads what text wrote. What cannot be read is the beginning.
func readPosition(text string) (p position) {
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return position{}
	}
	return p
}

func (p position) text() string {
	out, _ := json.Marshal(p) //nolint:errchkjson // texts and a bool
	return string(out)
}

// within returns the item after which a rebuild goes on with a function's entities or
// aggregates, of a tenant or of all; ok is false if it is through with them. The order
// is that of rebuilding.run: functions by name, of each its entities, then its
// aggregates.
func (p position) within(function string, aggregates bool, tenant string) (last item, ok bool) {
	switch there := p.Name != ""; {
	case p.Function > function, p.Function == function && there && !aggregates:
		return item{}, false
	case p.Function == function && there == aggregates:
		return item{function: function, tenant: p.Tenant, name: p.Name, key: p.Key}, true
	default:
		return item{function: function, tenant: tenant}, true
	}
}
