package ledger

import "github.com/millrace/millrace/shared/function"

func post(j *Journal, e function.Event, p PostedV1, fx *function.Effects) error {
	j.book(e, &Entry{Description: p.Description, Postings: p.Postings}, fx)
	return nil
}

func reverse(j *Journal, e function.Event, p ReversedV1, fx *function.Effects) error {
	entry := j.Entries[e.Refers(p.Entry)]
	switch {
	case entry == nil:
		return function.Refuse("entry-unknown", "source %s posted no entry %q in this journal", e.Source, p.Entry)
	case entry.ReversedBy != "":
		return function.Refuse("entry-reversed", "entry %q is reversed by %q", p.Entry, entry.ReversedBy)
	case entry.Reverses != "":
		return function.Refuse("entry-is-reversal", "entry %q reverses %q: post that one again instead", p.Entry, entry.Reverses)
	}
	opposite := make([]Posting, len(entry.Postings))
	for i, line := range entry.Postings {
		opposite[i] = Posting{line.Account, line.Currency, line.Amount.Neg()}
	}
	j.book(e, &Entry{Description: entry.Description, Postings: opposite, Reverses: p.Entry}, fx)
	entry.ReversedBy, entry.changed = e.ID, true
	return nil
}

// book puts an entry into the journal and its postings into the balances.
func (j *Journal) book(e function.Event, entry *Entry, fx *function.Effects) {
	entry.Version, entry.Time = e.Version, e.Time
	j.add(e.Name(), entry)
	for _, line := range entry.Postings {
		fx.Add(balance, line.Account, string(line.Currency), line.Amount)
	}
}

func (j *Journal) add(name function.Name, entry *Entry) {
	if j.Entries == nil {
		j.Entries = map[function.Name]*Entry{}
	}
	j.Entries[name] = entry
}
