package function

// Name names a fact, such as a trade, by the event that made it. It is unique
// within a tenant.
type Name struct {
	Source string
	ID     string
}

// MarshalText makes a Name a key of JSON objects. No source has a space in it.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.Source + " " + n.ID), nil }

// Name returns the name of the fact that e makes.
func (e Event) Name() Name { return Name{Source: e.Source, ID: e.ID} }

// Refers returns the name of the fact that an earlier event of e's source made,
// the one with the given id. So nobody can change another source's facts.
func (e Event) Refers(id string) Name { return Name{Source: e.Source, ID: id} }
