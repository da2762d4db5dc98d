package conversation

import (
	"testing"

	"github.com/millrace/millrace/infra/stack/stacktest"
	"github.com/millrace/millrace/shared/runtime/scenario"
)

func TestScenarios(t *testing.T) {
	t.Parallel()
	scenario.Run(t, New(), "testdata", stacktest.Postgres, stacktest.Redis)
}
