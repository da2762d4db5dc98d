package maintenance

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	settled = `
SELECT id
FROM millrace.dead_letters AS d
WHERE state IN ('redriven', 'dropped') AND created_at < $1
  AND NOT EXISTS (SELECT FROM millrace.operations AS o WHERE o.dead_letter = d.id AND o.done_at >= $1)
ORDER BY created_at, id
LIMIT $2`

	deleteLetters = `
DELETE FROM millrace.dead_letters
WHERE state IN ('redriven', 'dropped') AND id IN (` + settled + `)`

	countLetters = `SELECT count(*) FROM (` + settled + `) AS settled`

	lettersAtOnce = 1000
)

// clearLetters deletes dead letters that nobody waits for any more. What was
// done with them stays in millrace.operations.
func (k *keeper) clearLetters(ctx context.Context) (err error) {
	if k.LettersAfter == 0 {
		return nil
	}
	before := k.LettersAfter.Before(k.past)
	done := Done{Table: "dead_letters", Did: Deleted, Note: "settled before " + before.UTC().Format(time.DateOnly)}
	if k.DryRun {
		err = k.conn.QueryRow(ctx, countLetters, before, nil).Scan(&done.Rows)
	}
	for n := int64(lettersAtOnce); err == nil && n == lettersAtOnce && !k.DryRun; done.Rows += n {
		err = k.giveWay(ctx, brief, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, deleteLetters, before, lettersAtOnce)
			n = tag.RowsAffected()
			return err
		})
	}
	if done.Rows > 0 {
		k.Tell(done)
	}
	if err != nil {
		return fmt.Errorf("deleting settled dead letters: %w", err)
	}
	return nil
}
