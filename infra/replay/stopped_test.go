package replay

import (
	"errors"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/functions"
)

// What is left of a replay that is stopped; of a function that is read to its end
// nothing is.
func TestRest(t *testing.T) {
	t.Parallel()
	all := functions.All()
	after := &Decision{TenantID: "acme", Subject: "a", Version: 1}
	for name, test := range map[string]struct {
		rest Rest
		into *pgxpool.Pool
		want []Rest
	}{
		"a part":             {Rest{Offsets: map[int32]Range{0: {5, 5}, 1: {3, 5}}}, nil, []Rest{{Offsets: map[int32]Range{1: {3, 5}}}}},
		"nothing":            {Rest{Offsets: map[int32]Range{0: {5, 5}, 1: {5, 5}}}, nil, nil},
		"all":                {Rest{}, nil, []Rest{{}}},
		"of the audit log":   {Rest{After: after}, nil, []Rest{{After: after}}},
		"delivering, staged": {Rest{Offsets: map[int32]Range{0: {5, 5}}}, &pgxpool.Pool{}, []Rest{{Offsets: map[int32]Range{}}}},
	} {
		r := &replay{Config: Config{Functions: all}, target: test.into, result: &Result{}}
		r.stopped(test.rest, len(all)-1)
		if !reflect.DeepEqual(r.result.Rest, test.want) {
			t.Errorf("%s: %+v, want %+v", name, r.result.Rest, test.want)
		}
	}
}

// A server that does not answer any more holds up the end of a replay for as long
// as the database may take, and no longer.
func TestShadowThatCannotBeDropped(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	s := &shadow{live: "postgres://u:secret@" + silent.Addr().String() + "/x?sslmode=disable", name: "millrace_shadow"}
	ended := make(chan error, 1)
	go func() { ended <- s.close(t.Context(), 50*time.Millisecond, false) }()
	select {
	case err = <-ended:
	case <-time.After(30 * time.Second):
		err = errors.New("it waits on")
	}
	const want = "dropping the shadow database millrace_shadow: not done within 50ms: "
	if err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
		t.Errorf("error %v", err)
	}
}
