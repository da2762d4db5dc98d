package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// An epoch is one life of the database, in which an entity's version says one
// thing. After a failover or a restore to a point in time the same versions
// may say something else, so a new epoch begins, and whatever Redis shows of
// an earlier one loses against it.
//
// It is a UUID of version 7: two databases never have the same, and its first
// 48 bits, the milliseconds since 1970 at which it began, are the number that
// orders epochs. One of another version is what the migration made; it stands
// for no number until [Epoch] renews it.
type epoch struct{ uuid.NullUUID }

// number orders epochs; 0 if it has none.
func (e epoch) number() int64 {
	if !e.Valid || e.UUID.Version() != 7 {
		return 0
	}
	var n int64
	for _, b := range e.UUID[:6] {
		n = n<<8 | int64(b)
	}
	return n
}

// newEpoch makes an epoch later than old, even if this machine's clock is
// behind that of the one that made old.
func newEpoch(old int64, now time.Time) (epoch, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return epoch{}, fmt.Errorf("making an epoch: %w", err)
	}
	n := max(old+1, now.UnixMilli())
	for i := range 6 {
		id[i] = byte(n >> (40 - 8*i))
	}
	return epoch{uuid.NullUUID{UUID: id, Valid: true}}, nil
}

const (
	readEpoch = `SELECT epoch, timeline_id FROM millrace.database_epoch`

	// The timeline of the WAL that is being written. pg_control_checkpoint()
	// tells that of the last checkpoint, which after a failover may be minutes
	// behind.
	readTimeline = `SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int`

	renewEpoch = `UPDATE millrace.database_epoch SET epoch = $2, timeline_id = $3 WHERE epoch = $1`
)

// ErrNoTimeline says that the database does not tell its timeline, so that a
// failover goes unnoticed. The epoch beside it is good for all else.
var ErrNoTimeline = errors.New("the database does not tell its timeline")

// Epoch returns the number of the database's epoch, and begins a new one if
// the database is on another timeline than when the last one began. Several
// processes may call it at once: one of them renews it.
//
// A crash before the renewal commits leaves it to the next call; a crash after
// it leaves Redis with the epoch before, which [Relay.Reconcile] finds.
func Epoch(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	for {
		stored, was, err := currentEpoch(ctx, pool)
		if err != nil {
			return 0, err
		}
		is, err := currentTimeline(ctx, pool, was)
		if err != nil && !errors.Is(err, ErrNoTimeline) {
			return 0, err
		}
		if stored.number() > 0 && is == was {
			return stored.number(), err
		}
		if renewErr := replaceEpoch(ctx, pool, stored, stored.number(), is); renewErr != nil {
			return 0, renewErr
		}
	}
}

// RenewEpoch begins an epoch whose number is above the given one, if the
// database's is not above it already.
func RenewEpoch(ctx context.Context, pool *pgxpool.Pool, above int64) (int64, error) {
	for {
		stored, timeline, err := currentEpoch(ctx, pool)
		if err != nil {
			return 0, err
		}
		if stored.number() > above {
			return stored.number(), nil
		}
		if err := replaceEpoch(ctx, pool, stored, above, timeline); err != nil {
			return 0, err
		}
	}
}

func currentEpoch(ctx context.Context, pool *pgxpool.Pool) (stored epoch, timeline int32, err error) {
	if err := pool.QueryRow(ctx, readEpoch).Scan(&stored, &timeline); err != nil {
		return epoch{}, 0, fmt.Errorf("reading the database's epoch: %w", err)
	}
	return stored, timeline, nil
}

// untellable are the codes by which a server says that it does not tell its
// timeline: no right, no such function, the wrong state (a standby), not
// supported.
var untellable = []string{"42501", "42883", "55000", "0A000"}

// currentTimeline returns the database's timeline, or, with ErrNoTimeline, the
// one that is known.
func currentTimeline(ctx context.Context, pool *pgxpool.Pool, known int32) (int32, error) {
	var timeline int32
	err := pool.QueryRow(ctx, readTimeline).Scan(&timeline)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && slices.Contains(untellable, refused.Code) {
		return known, fmt.Errorf("%w: %w", ErrNoTimeline, err)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the database's timeline: %w", err)
	}
	return timeline, nil
}

// replaceEpoch does nothing when another process was first.
func replaceEpoch(ctx context.Context, pool *pgxpool.Pool, stored epoch, above int64, timeline int32) error {
	next, err := newEpoch(above, time.Now())
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, renewEpoch, stored, next, timeline); err != nil {
		return fmt.Errorf("renewing the database's epoch: %w", err)
	}
	return nil
}
