package family

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// nextNumber is that of a new function's migration: each function has ten
// numbers, so that its later migrations stand beside the first.
func nextNumber(root string) (int, error) {
	files, err := filepath.Glob(filepath.Join(root, "infra", "migrations", "[0-9]*_*.sql"))
	if err != nil || len(files) == 0 {
		return 0, errors.Join(err, errors.New("infra/migrations has no migrations"))
	}
	last := 0
	for _, file := range files {
		n, err := numberOf(file)
		if err != nil {
			return 0, err
		}
		last = max(last, n)
	}
	return (last/10 + 1) * 10, nil
}

func numberOf(migration string) (int, error) {
	number, _, _ := strings.Cut(filepath.Base(migration), "_")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("the migration %s has no number", filepath.Base(migration))
	}
	return n, nil
}
