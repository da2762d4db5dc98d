package views

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

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

// lateness is for how long after a rebuild began claims of an epoch before its own may
// be applied: their Lifetime, and some time for clocks that go at another speed.
const lateness = Lifetime + time.Minute

// noteSuffix names the note that a rebuild has begun, beside the epoch and in its
// slot: whatever takes the views of a master away takes the note along.
const noteSuffix = ":r"

// rebuild is one that Begin began, or found.
type rebuild struct {
	name          string
	stamp         string // what the epoch will be
	shown, pruned string // how far it came
}

// Begin notes on masters, as CheckEpoch returned them, that their rebuild begins,
// and returns them as Prune and SetEpoch take them. It leaves out those whose epoch is
// another by now: another process has rebuilt them, or they were flushed. Nothing that
// is to be shown may be read before it. Several processes may rebuild a master at
// once; they share the note. A rebuild that was begun and not ended goes on, where
// Master.Reached says.
func Begin(ctx context.Context, client redis.UniversalClient, databaseEpoch int64, masters ...Master) ([]Master, error) {
	if len(masters) == 0 {
		return nil, nil
	}
	now, err := serversTime(ctx, client)
	if err != nil {
		return nil, wrap(err, "views: beginning a rebuild")
	}
	var begun []Master
	for _, master := range masters {
		stamp := master.stamp(databaseEpoch)
		if !master.late {
			stamp += " " + strconv.FormatInt(now.Add(lateness).UnixMilli(), 10)
		}
		note, err := beginScript.Run(ctx, client, master.notes(),
			master.extent(databaseEpoch), rand.Text(), master.found, stamp).StringSlice()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("views: beginning the rebuild of %s: %w", master.Address, err)
		}
		if len(note) != 4 {
			return nil, fmt.Errorf("views: beginning the rebuild of %s: the script answered %q", master.Address, note)
		}
		master.rebuild = rebuild{name: note[0], stamp: note[1], shown: note[2], pruned: note[3]}
		begun = append(begun, master)
	}
	return begun, nil
}

// notes are the keys of the scripts: the note, the epoch.
func (m Master) notes() []string { return []string{m.key + noteSuffix, m.key} }

// Reached is how far the rebuild of the master had come when Begin returned it, as
// Reach was told; empty if nothing is shown yet.
func (m Master) Reached() string { return m.rebuild.shown }

// Reach notes how far the rebuild of masters, as Begin returned them, came. It fails
// as SetEpoch does.
func Reach(ctx context.Context, client redis.UniversalClient, reached string, masters ...Master) error {
	var errs []error
	for _, master := range masters {
		errs = append(errs, master.reach(ctx, client, "shown", reached))
	}
	return errors.Join(errs...)
}

func (m Master) reach(ctx context.Context, client redis.UniversalClient, with, reached string) error {
	kept, err := reachScript.Run(ctx, client, m.notes(), m.rebuild.name, m.rebuild.stamp, with, reached).Bool()
	return m.noted(kept, err)
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
	if m.late {
		text.WriteString(" late")
	}
	return text.String()
}

// SetEpoch notes that masters, as Begin returned them, show all that the database of
// its epoch says. It fails for one whose note is gone: it was flushed in the
// meantime, or another rebuild of it began, since its slots or the epoch changed.
// Its rebuild has to begin again. CheckEpoch returns it once more when no claim of an
// earlier epoch can be on its way any longer: see Master.Late.
func SetEpoch(ctx context.Context, client redis.UniversalClient, masters ...Master) error {
	var errs []error
	for _, master := range masters {
		set, err := endScript.Run(ctx, client, master.notes(), master.rebuild.name, master.rebuild.stamp).Bool()
		errs = append(errs, master.noted(set, err))
	}
	return errors.Join(errs...)
}
