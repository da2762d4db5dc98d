package trade

import (
	"encoding/json"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/views"
)

// shown is how many trades of an account Redis shows.
const shown = 50

// shownTrade is an element of the list of an account's last trades.
type shownTrade struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	*Trade
}

// render shows the trades of the state in the account's list. A cancelled one
// stays there as such. Their place is the order of booking, which no clock
// changes.
func render(e *function.Entity[Account]) []views.View {
	key := views.Key(e.TenantID, "trades", e.Subject)
	list := make([]views.View, 0, len(e.State.Trades))
	for name, t := range e.State.Trades {
		value, err := json.Marshal(shownTrade{name.Source, name.ID, t})
		if err != nil {
			panic(err) // a Trade always has a JSON form
		}
		list = append(list, views.Recent{
			Key: key, Member: name.Source + " " + name.ID, Version: t.Version,
			Score: float64(t.Booked), Value: string(value), Keep: shown, Present: true,
		})
	}
	return list
}
