package status

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/money"
	"github.com/millrace/millrace/shared/views"
)

// View is one key that Redis shows of an entity.
type View struct {
	Key   string
	Lines []string
}

// rendering finds out which keys an entity is shown at: those of the views that
// its function renders from the database's state.
type rendering struct {
	definition function.Definition
	instance   function.Instance
	aggregates map[string]*function.Aggregate // by name
}

func (r *rendering) queue(b *pgx.Batch, name EntityName) {
	r.definition.QueueLoadViews(b, []function.Instance{r.instance})
	r.aggregates = map[string]*function.Aggregate{}
	b.Queue(selectAggregates, name.Tenant, name.Function, name.Subject).Query(func(rows pgx.Rows) error {
		var aggregate, field, value string
		var version int64
		_, err := pgx.ForEachRow(rows, []any{&aggregate, &field, &value, &version}, func() error {
			a := r.aggregates[aggregate]
			if a == nil {
				a = &function.Aggregate{TenantID: name.Tenant, Key: name.Subject, Fields: map[string]money.Decimal{}}
				r.aggregates[aggregate] = a
			}
			amount, err := money.Parse(value)
			a.Fields[field], a.Version = amount, a.Version+version
			return err
		})
		return err
	})
}

// read asks Redis for every key, once.
func (r *rendering) read(ctx context.Context, shown redis.UniversalClient) ([]View, error) {
	rendered := r.definition.RenderViews(r.instance)
	for name, a := range r.aggregates {
		rendered = append(rendered, r.definition.RenderAggregate(name, *a)...)
	}
	byKey := map[string]View{}
	for _, v := range rendered {
		var one View
		var err error
		switch v := v.(type) {
		case views.Hash:
			one, err = readHash(ctx, shown, v)
		case views.Recent:
			if _, done := byKey[v.Key]; done {
				continue
			}
			one.Key = v.Key
			one.Lines, err = views.ReadRecent(ctx, shown, v.Key)
		case views.Member:
			one, err = readMember(ctx, shown, v, byKey[v.Key])
		case views.Bit:
			one, err = readBit(ctx, shown, v, byKey[v.Key])
		default:
			err = fmt.Errorf("a view of type %T cannot be shown here", v)
		}
		if err != nil {
			return nil, err
		}
		byKey[one.Key] = one
	}
	all := slices.Collect(maps.Values(byKey))
	slices.SortFunc(all, func(a, b View) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

func readHash(ctx context.Context, shown redis.UniversalClient, v views.Hash) (View, error) {
	hash, err := views.ReadHash(ctx, shown, v.Key)
	if err != nil {
		return View{}, err
	}
	one := View{Key: v.Key}
	for _, field := range slices.Sorted(maps.Keys(hash.Fields)) {
		one.Lines = append(one.Lines, field+"  "+hash.Fields[field])
	}
	return one, nil
}

// readMember adds the member's line to those of the same sorted set.
func readMember(ctx context.Context, shown redis.UniversalClient, v views.Member, so View) (View, error) {
	so.Key = v.Key
	score, err := shown.ZScore(ctx, v.Key, v.Member).Result()
	switch {
	case err == redis.Nil: //nolint:errorlint // go-redis returns it bare
		so.Lines = append(so.Lines, v.Member+"  not in it")
	case err != nil:
		return so, fmt.Errorf("reading %s from Redis: %w", v.Key, err)
	default:
		so.Lines = append(so.Lines, v.Member+"  "+strconv.FormatFloat(score, 'f', -1, 64))
	}
	return so, nil
}

// readBit adds the member's line to those of the same bitmap.
func readBit(ctx context.Context, shown redis.UniversalClient, v views.Bit, so View) (View, error) {
	so.Key = v.Key
	bit, err := views.ReadBit(ctx, shown, v.Key, v.Member)
	switch {
	case err != nil:
		return so, err
	case bit.Version == 0:
		so.Lines = append(so.Lines, v.Member+"  not in it")
	case bit.On:
		so.Lines = append(so.Lines, v.Member+"  on")
	default:
		so.Lines = append(so.Lines, v.Member+"  off")
	}
	return so, nil
}
