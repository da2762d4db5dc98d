package runtime

import (
	"fmt"
	"slices"
	"testing"
)

func TestMade(t *testing.T) {
	t.Parallel()
	key := func(n int) entityKey { return entityKey{"acme", fmt.Sprint(n)} }
	m := &made{}
	if unknown := m.unknown([]entityKey{key(1), key(2)}); !slices.Equal(unknown, []entityKey{key(1), key(2)}) {
		t.Errorf("at first unknown are %v, want both", unknown)
	}
	m.add([]entityKey{key(1)})
	if unknown := m.unknown([]entityKey{key(1), key(2)}); !slices.Equal(unknown, []entityKey{key(2)}) {
		t.Errorf("unknown are %v, want the one that was not added", unknown)
	}
	for n := range 5 * madeLimit {
		m.add([]entityKey{key(10 + n)})
		if unknown := m.unknown([]entityKey{key(1)}); unknown != nil {
			t.Fatalf("one that is asked for all the time was forgotten after %d others", n)
		}
	}
	if n := len(m.young) + len(m.old); n > 2*madeLimit {
		t.Errorf("%d are remembered, want at most %d", n, 2*madeLimit)
	}
	m.forget()
	if unknown := m.unknown([]entityKey{key(1)}); len(unknown) != 1 {
		t.Error("one is remembered after all were forgotten")
	}
}
