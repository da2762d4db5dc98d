package function

// Column returns one column of rows, for `unnest($1::text[], ...)`: a statement
// takes one array a column, whatever the number of rows.
func Column[R, T any](rows []R, get func(R) T) []T {
	column := make([]T, len(rows))
	for n, row := range rows {
		column[n] = get(row)
	}
	return column
}

// Keys returns the tenants and subjects of entities, as columns.
func Keys[S any](entities []*Entity[S]) (tenants, subjects []string) {
	tenants = Column(entities, func(e *Entity[S]) string { return e.TenantID })
	return tenants, Column(entities, func(e *Entity[S]) string { return e.Subject })
}

// Named returns, as columns, the facts that the Pending events of entities name;
// refers tells which one, if any.
func Named[S any](entities []*Entity[S], refers func(p Pending) (n Name, ok bool)) (tenants, subjects, sources, ids []string) {
	for _, e := range entities {
		for _, p := range e.Pending {
			if n, ok := refers(p); ok {
				tenants, subjects = append(tenants, e.TenantID), append(subjects, e.Subject)
				sources, ids = append(sources, n.Source), append(ids, n.ID)
			}
		}
	}
	return tenants, subjects, sources, ids
}

// Index finds entities by their keys, for loaders that scan rows.
type Index[S any] map[indexKey]*Entity[S]

type indexKey struct{ tenantID, subject string }

// IndexOf returns the index of entities.
func IndexOf[S any](entities []*Entity[S]) Index[S] {
	index := make(Index[S], len(entities))
	for _, e := range entities {
		index[indexKey{e.TenantID, e.Subject}] = e
	}
	return index
}

// State returns the state of an entity of the index.
func (x Index[S]) State(tenantID, subject string) *S {
	return &x[indexKey{tenantID, subject}].State
}
