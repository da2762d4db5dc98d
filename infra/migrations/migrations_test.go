package migrations_test

import (
	"sync"
	"testing"

	"github.com/millrace/millrace/infra/migrations"
	"github.com/millrace/millrace/infra/stack/stacktest"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

func TestUpIsSafeToRunTwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	url := stacktest.EmptyPostgres(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := migrations.Up(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := migrations.Up(t.Context(), url); err != nil {
		t.Error(err)
	}
}
