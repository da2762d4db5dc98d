package stack_test

import (
	"testing"

	"github.com/millrace/millrace/infra/stack"
)

func TestFreePortsAreApartFromEachOtherAndFromOutgoingConnections(t *testing.T) {
	t.Parallel()
	given := map[int]bool{}
	for range 200 {
		port, err := stack.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if given[port] || port >= 32768 {
			t.Errorf("port %d", port)
		}
		given[port] = true
	}
}
