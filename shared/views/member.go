package views

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Member shows one member of a sorted set that many entities share, such as a
// leaderboard. Each member has a version of its own, that of the entity which
// shows it; removing it (Present false) leaves a tombstone.
type Member struct {
	Key     string // of the set; from Key
	Member  string
	Version int64   // of the entity that the member is; 1 to MaxVersion
	Score   float64 // finite; Redis keeps a double, so amounts of money are rounded
	Present bool
}

//go:embed member.lua
var memberLua string

var memberKind = &kind{
	name:       "member",
	companions: []string{":v", ":t"},
	script:     newScript(memberLua),
	append:     appendMembers,
	compare:    compareMembers,
}

func (m Member) ref() ref {
	return ref{kind: memberKind, key: m.Key, member: m.Member, version: m.Version}
}

func (m Member) measure() (size, error) {
	size := size{args: 3, bytes: len(m.Member)}
	return size, cmp.Or(checkCommon(m.Key, m.Version, size), checkMember(m.Member), checkScore(m.Score))
}

// appendMembers appends all members, then their versions, then their scores, an
// empty one for those to be removed: so the script slices out all members at once.
func appendMembers(args *args, part []entry) {
	for i := range part {
		args.text(part[i].member)
	}
	for i := range part {
		args.number(&part[i].version)
	}
	for i := range part {
		if m := as[Member](&part[i]); m.Present {
			args.score(m.Score)
		} else {
			args.text("")
		}
	}
}

// checkMember refuses the empty name, which Recent keeps for itself and which
// elsewhere is more likely a mistake than a name.
func checkMember(member string) error {
	if member == "" {
		return errors.New("the member has no name")
	}
	return nil
}

func compareMembers(ctx context.Context, pipe pipe, part []entry) func() []Difference {
	key := part[0].key
	scores, versions := make([]*redis.FloatCmd, len(part)), make([]*redis.StringCmd, len(part))
	for i := range part {
		scores[i] = pipe.ZScore(ctx, key, part[i].member)
		versions[i] = pipe.HGet(ctx, key+":v", part[i].member)
	}
	return func() []Difference {
		var found []Difference
		for i := range part {
			want := as[Member](&part[i])
			have, shown := storedVersion(versions[i].Val()), scores[i].Err() == nil
			if have == 0 && !shown && !want.Present {
				continue // a tombstone that has expired
			}
			found = append(found, differ(key, want.Member,
				showScore(want.Version, want.Present, want.Score), showScore(have, shown, scores[i].Val()))...)
		}
		return found
	}
}

func showScore(version int64, present bool, score float64) string {
	if !present {
		return fmt.Sprintf("version %d absent", version)
	}
	return fmt.Sprintf("version %d score %v", version, score+0) // + 0: minus zero is zero
}
