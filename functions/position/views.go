package position

import (
	"net/url"
	"strconv"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/views"
)

// render shows each position, and its place among the tenant's exposures.
func render(e *function.Entity[Account]) []views.View {
	list := make([]views.View, 0, 2*len(e.State.Positions))
	for instrument, p := range e.State.Positions {
		list = append(list, p.hash(e, instrument), p.exposure(e, instrument, p.Currency, !p.Quantity.IsZero()))
		for _, former := range p.FormerCurrencies {
			list = append(list, p.exposure(e, instrument, former, false))
		}
	}
	return list
}

func (p *Position) hash(e *function.Entity[Account], instrument string) views.View {
	return views.Hash{
		Key: views.Key(e.TenantID, "position", e.Subject, instrument), Version: p.Version,
		Fields: map[string]string{
			"account":      e.Subject,
			"instrument":   instrument,
			"quantity":     p.Quantity.String(),
			"cost":         p.Cost.String(),
			"average_cost": p.averageCost().String(),
			"realised":     p.Realised.String(),
			"currency":     string(p.Currency),
			"fills":        strconv.FormatInt(p.Live, 10),
			"version":      strconv.FormatInt(p.Version, 10),
		},
	}
}

// exposure ranks the position by its absolute cost, as a double: whoever needs
// the amount reads the position. Scores compare within one currency only.
func (p *Position) exposure(e *function.Entity[Account], instrument string, in money.Currency, present bool) views.View {
	return views.Member{
		Key: views.Key(e.TenantID, "exposure", string(in)), Member: url.PathEscape(e.Subject) + "/" + url.PathEscape(instrument),
		Version: p.Version, Score: p.Cost.Abs().Float64(), Present: present,
	}
}
