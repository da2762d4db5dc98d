package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// An epoch is kept on each Redis master: which database it was last rebuilt from
// (the database's epoch) and which server it was then (its replication id, which
// changes when the server restarts or another is promoted). A master whose epoch is
// missing or another may have lost its tail or all of its data (faults 21, 22), or
// show what a lost timeline of the database said. It is rebuilt while live writes go
// on, always in this order:
//
//  1. CheckEpoch returns the masters that do not match;
//  2. Begin leaves a note there that their rebuild has begun;
//  3. every entity that has views on them (Master.Holds) is rendered and applied,
//     with Claim.Rewrite, and Reach notes now and then how far that came;
//  4. Prune removes what is left of lesser epochs;
//  5. SetEpoch notes that it is done, if the note of its beginning is still there.
//
// A crash before the last step leaves the mismatch, and the rebuild goes on where
// it was.
// A master that is flushed in the middle keeps its replication id and loses the note,
// so that SetEpoch fails. One that is replaced in the middle has another replication
// id than the one that SetEpoch notes, so the next check finds it.
//
// After Prune nothing is left that would stop a claim of a lost timeline but its
// deadline: a process that stood still may yet bring back what nobody has any more. So
// an epoch is set with the time by which the last such claim has expired, and from
// then on steps 1, 2, 4 and 5 are done once more. The scripts could not refuse it
// themselves: in a cluster each may touch one slot, and the epoch lies in another.

// epochPrefix begins the keys that hold epochs; no tenant's key does, since in
// those a colon follows the tenant and "!" is escaped.
const epochPrefix = keyPrefix + "!epoch-"

// unknownReplication stands for the replication id of a server that has none
// (miniredis). Such a server keeps nothing over a restart, so that its epoch is
// missing afterwards.
const unknownReplication = "none"

// Master is a Redis master as CheckEpoch found it.
type Master struct {
	Address     string
	Replication string // its replication id
	key         string // where its epoch is
	ranges      []slotRange
	found       string // its epoch
	late        bool
	rebuild     rebuild
}

type slotRange struct{ first, last int }

// Holds says whether a key was on the master when it was checked. A slot that has
// moved to it since, from one that was to be rebuilt too, is not: where slots are
// being moved, rebuild everything instead of what masters hold.
func (m Master) Holds(key string) bool { return m.owns(slotOf(key)) }

func (m Master) owns(slot int) bool {
	return slices.ContainsFunc(m.ranges, func(r slotRange) bool { return r.first <= slot && slot <= r.last })
}

// Late says that the master shows all that it should, and only has to be pruned of what
// claims of earlier epochs brought after its rebuild.
func (m Master) Late() bool { return m.late }

// EpochBehindError says that Redis was written from a later epoch than the
// database says it is in. Everything that is applied would be refused as stale. The
// database was restored and its epoch not renewed, or it is not the one that this
// Redis belongs to. Its epoch has to become greater than Redis'.
type EpochBehindError struct {
	Address         string
	Redis, Database int64
}

func (e *EpochBehindError) Error() string {
	return fmt.Sprintf("views: Redis at %s was written from database epoch %d, later than this database's, %d: renew it",
		e.Address, e.Redis, e.Database)
}

// CheckEpoch returns the masters that have to be rebuilt, or pruned (Master.Late). An
// [EpochBehindError] says that the database has to take a new epoch first.
func CheckEpoch(ctx context.Context, client redis.UniversalClient, databaseEpoch int64) ([]Master, error) {
	var mu sync.Mutex
	var mismatched []Master
	err := eachMaster(ctx, client, func(ctx context.Context, server *redis.Client) error {
		master, ok, err := inspect(ctx, server)
		if err != nil || !ok {
			return err
		}
		if master.found, err = server.Get(ctx, master.key).Result(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if was, _, _ := strings.Cut(master.found, " "); was != "" {
			if epoch, err := strconv.ParseInt(was, 10, 64); err == nil && epoch > databaseEpoch {
				return &EpochBehindError{Address: master.Address, Redis: epoch, Database: databaseEpoch}
			}
		}
		settled, late, err := master.look(ctx, server, databaseEpoch)
		if err != nil {
			return err
		}
		if master.late = late; !settled {
			mu.Lock()
			defer mu.Unlock()
			mismatched = append(mismatched, master)
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "views: checking the epoch")
	}
	slices.SortFunc(mismatched, func(a, b Master) int { return strings.Compare(a.Address, b.Address) })
	return mismatched, nil
}

// look reports whether nothing is to be done on the master now, and whether all that
// is to be done on it, now or later, is to prune it of late claims.
func (m Master) look(ctx context.Context, server *redis.Client, databaseEpoch int64) (settled, late bool, err error) {
	if m.found == m.stamp(databaseEpoch) {
		return true, false, nil
	}
	text, same := strings.CutPrefix(m.found, m.stamp(databaseEpoch)+" ")
	until, malformed := strconv.ParseInt(text, 10, 64)
	if !same || malformed != nil {
		return false, false, nil //nolint:nilerr // it is another epoch
	}
	now, err := server.Time(ctx).Result()
	return now.UnixMilli() < until, true, err
}

func (m Master) stamp(databaseEpoch int64) string {
	return strconv.FormatInt(databaseEpoch, 10) + " " + m.Replication
}

// inspect describes a server; ok is false for one that holds no slots.
func inspect(ctx context.Context, server *redis.Client) (master Master, ok bool, err error) {
	info, err := serverInfo(ctx, server, "replication", "cluster")
	if err != nil {
		return Master{}, false, err
	}
	if role, known := info["role"]; known && role != "master" {
		return Master{}, false, fmt.Errorf("%s is no master any more", server.Options().Addr)
	}
	master = Master{
		Address:     server.Options().Addr,
		Replication: info["master_replid"],
		ranges:      []slotRange{{0, slots - 1}},
	}
	if master.Replication == "" {
		master.Replication = unknownReplication
	}
	if info["cluster_enabled"] == "1" {
		nodes, err := server.ClusterNodes(ctx).Result()
		if err != nil {
			return Master{}, false, err
		}
		if master.ranges, err = ownRanges(nodes); err != nil {
			return Master{}, false, err
		}
	}
	master.key, ok = master.epochKey()
	return master, ok, nil
}

// epochKey is the first of a fixed series of keys that the master holds. When slots
// move, the key may be another one; it is missing there, and the master is rebuilt
// once without need.
func (m Master) epochKey() (string, bool) {
	if len(m.ranges) == 0 {
		return "", false
	}
	for i := range 100 * slots {
		key := epochPrefix + strconv.Itoa(i) + keySuffix
		if m.owns(slotOf(key)) {
			return key, true
		}
	}
	return "", false
}

// ownRanges reads the slots of the node itself from the answer to CLUSTER NODES:
// id, address, flags, master, ping, pong, epoch, link, then its slots; those in
// brackets are moving and still counted among the plain ones.
func ownRanges(nodes string) ([]slotRange, error) {
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if len(fields) < 8 || !slices.Contains(strings.Split(fields[2], ","), "myself") {
			continue
		}
		var ranges []slotRange
		for _, text := range fields[8:] {
			if strings.HasPrefix(text, "[") {
				continue
			}
			first, last, isRange := strings.Cut(text, "-")
			if !isRange {
				last = first
			}
			a, errA := strconv.Atoi(first)
			b, errB := strconv.Atoi(last)
			if err := errors.Join(errA, errB); err != nil {
				return nil, fmt.Errorf("CLUSTER NODES: slots %q: %w", text, err)
			}
			ranges = append(ranges, slotRange{a, b})
		}
		return ranges, nil
	}
	return nil, errors.New("CLUSTER NODES does not name the node itself")
}
