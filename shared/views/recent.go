package views

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// MaxKeep is the greatest number of values that a [Recent] list shows.
const MaxKeep = 1000

// slack is how many times Keep members a Recent collection remembers.
const slack = 2

// Recent shows one value of a list of the last Keep, newest first, such as the
// last trades of an account. Each member has a version of its own.
//
// What the list shows is a pure function of the latest views, in whatever order
// they come: of all members ever seen, removed ones included, the 2*Keep with the
// greatest (Score, Member) are remembered; those of them that are present are
// shown, at most Keep. Since removed members keep their place, the remembered set
// only ever moves up: a member that fell off its end can't come back, however late
// a claim with it arrives, and no tombstone has to outlast anything.
//
// So removals among the newest leave the list full until more than Keep of the
// newest 2*Keep are removed; from then on it shows fewer than Keep.
//
// For this to hold, a member's Score is its place in time and never changes.
// Changing Keep takes effect for a key at its next rebuild.
//
// With Publish, the script that puts a newer version of a member into place tells
// subscribers of the channel that is named as the key: the message is the value.
// At most once: nobody keeps it for a subscriber who is away, of several versions in
// one Apply only the latest is told, and what a rebuild puts where nothing was is not
// told at all, since most of it would be old. Whoever must see everything reads the
// key, and takes messages as a hint to do so. A member that is not Present, or too old
// to be remembered, is not told.
type Recent struct {
	Key     string // of the list; from Key
	Member  string
	Version int64   // of the member; 1 to MaxVersion
	Score   float64 // its place in the order, the same in every version; finite
	Value   string
	Keep    int  // how many values the list shows, 1 to MaxKeep, the same in all of a key
	Publish bool // the same in all of a key
	Present bool
}

//go:embed recent.lua
var recentLua string

var recentKind = &kind{
	name:       "recent",
	companions: []string{":v", ":o"},
	script:     newScript(recentLua),
	append:     appendRecent,
	compare:    compareRecent,
}

func (r Recent) ref() ref {
	return ref{kind: recentKind, key: r.Key, member: r.Member, version: r.Version}
}

func (r Recent) measure() (size, error) {
	size := size{args: 4, bytes: len(r.Member) + len(r.Value) + 1}
	var keep error
	if r.Keep < 1 || r.Keep > MaxKeep {
		keep = fmt.Errorf("keep %d is not between 1 and %d", r.Keep, MaxKeep)
	}
	return size, cmp.Or(checkCommon(r.Key, r.Version, size), checkMember(r.Member), checkScore(r.Score), keep)
}

// appendRecent appends how many to show and to remember and whether to publish, then
// all members, oldest first, then their versions, scores and values; before a value
// stands + if it is present and - if not.
func appendRecent(args *args, part []entry) {
	sortRecent(part)
	first := as[Recent](&part[0])
	args.small(first.Keep)
	args.small(slack * first.Keep)
	args.flag(first.Publish)
	for i := range part {
		args.text(part[i].member)
	}
	for i := range part {
		args.number(&part[i].version)
	}
	for i := range part {
		args.score(as[Recent](&part[i]).Score)
	}
	for i := range part {
		if r := as[Recent](&part[i]); r.Present {
			args.text("+" + r.Value)
		} else {
			args.text("-")
		}
	}
}

// sortRecent sorts as Redis sorts a sorted set: by score, then by the bytes of
// the member.
func sortRecent(part []entry) {
	slices.SortFunc(part, func(a, b entry) int {
		if c := cmp.Compare(as[Recent](&a).Score, as[Recent](&b).Score); c != 0 {
			return c
		}
		return strings.Compare(a.member, b.member)
	})
}

func compareRecent(ctx context.Context, pipe pipe, part []entry) func() []Difference {
	remembered, want := foldRecent(part)
	key := part[0].key
	list := pipe.LRange(ctx, key, 0, -1)
	names := make([]string, len(remembered))
	for i := range remembered {
		names[i] = remembered[i].member
	}
	stored := pipe.HMGet(ctx, key+":v", names...)
	return func() []Difference {
		found := differ(key, "", fmt.Sprintf("%q", want), fmt.Sprintf("%q", list.Val()))
		if len(want) == 0 && len(list.Val()) == 0 {
			return found // all of it may have expired
		}
		for i, e := range remembered {
			text, _ := stored.Val()[i].(string)
			found = append(found, differ(key, e.member,
				fmt.Sprintf("version %d", e.version), fmt.Sprintf("version %d", storedVersion(text)))...)
		}
		return found
	}
}

// foldRecent says in Go what recent.lua arrives at: which members of a key are
// remembered, and which values are shown.
func foldRecent(part []entry) (remembered []entry, shown []string) {
	sortRecent(part)
	keep := as[Recent](&part[0]).Keep
	remembered = part[max(0, len(part)-slack*keep):]
	shown = []string{}
	for i := len(remembered) - 1; i >= 0 && len(shown) < keep; i-- {
		if r := as[Recent](&remembered[i]); r.Present {
			shown = append(shown, r.Value)
		}
	}
	return remembered, shown
}
