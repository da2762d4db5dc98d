package views

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed begin.lua
	beginLua    string
	beginScript = redis.NewScript(beginLua)
	//go:embed end.lua
	endLua    string
	endScript = redis.NewScript(endLua)
)

// noteSuffix names the note that a rebuild has begun, beside the epoch and in its
// slot: whatever takes the views of a master away takes the note along.
const noteSuffix = ":r"

// Begin notes on masters, as CheckEpoch returned them, that their rebuild begins,
// and returns them as SetEpoch takes them, without those that another process has
// rebuilt by now. Nothing that is to be shown may be read before it. Several processes
// may rebuild a master at once; they share the note.
func Begin(ctx context.Context, client redis.UniversalClient, databaseEpoch int64, masters ...Master) ([]Master, error) {
	var begun []Master
	for _, master := range masters {
		name, err := beginScript.Run(ctx, client, master.notes(),
			master.extent(databaseEpoch), rand.Text(), master.stamp(databaseEpoch)).Text()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("views: beginning the rebuild of %s: %w", master.Address, err)
		}
		master.rebuild = name
		begun = append(begun, master)
	}
	return begun, nil
}

// notes are the keys of the scripts: the note, the epoch.
func (m Master) notes() []string { return []string{m.key + noteSuffix, m.key} }

// extent says what a rebuild is of: one of another epoch, server or slots is another.
func (m Master) extent(databaseEpoch int64) string {
	var text strings.Builder
	text.WriteString(m.stamp(databaseEpoch))
	for _, r := range m.ranges {
		fmt.Fprintf(&text, " %d-%d", r.first, r.last)
	}
	return text.String()
}

// SetEpoch notes that masters, as Begin returned them, show all that the database of
// that epoch says. It fails for one whose note is gone: it was flushed in the
// meantime, or another rebuild of it began, since its slots or the epoch changed.
// Its rebuild has to begin again.
func SetEpoch(ctx context.Context, client redis.UniversalClient, databaseEpoch int64, masters ...Master) error {
	var errs []error
	for _, master := range masters {
		set, err := endScript.Run(ctx, client, master.notes(), master.rebuild, master.stamp(databaseEpoch)).Bool()
		if err == nil && !set {
			err = errors.New("it was flushed or changed while it was rebuilt")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("views: setting the epoch of %s: %w", master.Address, err))
		}
	}
	return errors.Join(errs...)
}
