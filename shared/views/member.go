package views

import (
	_ "embed"
	"errors"
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

func (m Member) check() error {
	return errors.Join(checkCommon(m.Key, m.Version, len(m.Member)), checkMember(m.Member), checkScore(m.Score))
}

// appendMembers appends all members, then their versions, then their scores, an
// empty one for those to be removed: so the script slices out all members at once.
func appendMembers(args []any, part []entry) []any {
	for i := range part {
		args = append(args, part[i].member)
	}
	for i := range part {
		args = append(args, part[i].version)
	}
	for i := range part {
		if m := part[i].view.(Member); m.Present {
			args = append(args, m.Score)
		} else {
			args = append(args, "")
		}
	}
	return args
}

// checkMember refuses the empty name, which Recent keeps for itself and which
// elsewhere is more likely a mistake than a name.
func checkMember(member string) error {
	if member == "" {
		return errors.New("the member has no name")
	}
	return nil
}
