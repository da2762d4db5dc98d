package functions_test

import (
	"testing"

	"github.com/millrace/millrace/functions"
)

func TestFunctionsAreComplete(t *testing.T) {
	t.Parallel()
	for _, fn := range functions.All() {
		if err := fn.Check(); err != nil {
			t.Error(err)
		}
	}
}
