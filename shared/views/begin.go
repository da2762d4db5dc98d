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
	//go:embed reach.lua
	reachLua    string
	reachScript = redis.NewScript(reachLua)
	//go:embed end.lua
	endLua    string
	endScript = redis.NewScript(endLua)
)

// noteSuffix names the note that a rebuild has begun, beside the epoch and in its
// slot: whatever takes the views of a master away takes the note along.
const noteSuffix = ":r"

// rebuild is one that Begin began, or found.
type rebuild struct {
	name    string
	stamp   string // what the epoch will be
	reached string
}

// Begin notes on masters, as CheckEpoch returned them, that their rebuild begins,
// and returns them as SetEpoch takes them, without those that another process has
// rebuilt by now. Nothing that is to be shown may be read before it. Several processes
// may rebuild a master at once; they share the note. A rebuild that was begun and not
// ended goes on, where Master.Reached says.
func Begin(ctx context.Context, client redis.UniversalClient, databaseEpoch int64, masters ...Master) ([]Master, error) {
	var begun []Master
	for _, master := range masters {
		note, err := beginScript.Run(ctx, client, master.notes(),
			master.extent(databaseEpoch), rand.Text(), master.stamp(databaseEpoch)).StringSlice()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("views: beginning the rebuild of %s: %w", master.Address, err)
		}
		if len(note) != 2 {
			return nil, fmt.Errorf("views: beginning the rebuild of %s: the script answered %q", master.Address, note)
		}
		master.rebuild = rebuild{name: note[0], stamp: master.stamp(databaseEpoch), reached: note[1]}
		begun = append(begun, master)
	}
	return begun, nil
}

// notes are the keys of the scripts: the note, the epoch.
func (m Master) notes() []string { return []string{m.key + noteSuffix, m.key} }

// Reached is how far the rebuild of the master had come when Begin returned it, as
// Reach was told; empty if nothing is shown yet.
func (m Master) Reached() string { return m.rebuild.reached }

// Reach notes how far the rebuild of masters, as Begin returned them, came. It fails
// as SetEpoch does.
func Reach(ctx context.Context, client redis.UniversalClient, reached string, masters ...Master) error {
	var errs []error
	for _, master := range masters {
		kept, err := reachScript.Run(ctx, client, master.notes(), master.rebuild.name, master.rebuild.stamp, reached).Bool()
		errs = append(errs, master.noted(kept, err))
	}
	return errors.Join(errs...)
}

// noted is the error of a script that answers whether the note is still there.
func (m Master) noted(kept bool, err error) error {
	if err == nil && !kept {
		err = errors.New("it was flushed or changed meanwhile")
	}
	return wrap(err, "views: rebuilding "+m.Address)
}

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
// its epoch says. It fails for one whose note is gone: it was flushed in the
// meantime, or another rebuild of it began, since its slots or the epoch changed.
// Its rebuild has to begin again.
func SetEpoch(ctx context.Context, client redis.UniversalClient, masters ...Master) error {
	var errs []error
	for _, master := range masters {
		set, err := endScript.Run(ctx, client, master.notes(), master.rebuild.name, master.rebuild.stamp).Bool()
		errs = append(errs, master.noted(set, err))
	}
	return errors.Join(errs...)
}
