package views

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Bit shows one bit of a bitmap that many entities share, such as which agents are
// signed in. Each member has a version of its own, that of the entity which shows it.
//
// Nobody has to number the members: the script gives each the next free offset when
// it first sees it, so that the bitmap is dense, and notes it beside the bitmap. A
// member keeps its offset for good, also when its bit is off; there are as many
// offsets as there ever were members. Where Redis lost its data and was rebuilt,
// members may have other offsets than before: a reader who keeps them asks again.
type Bit struct {
	Key     string // of the bitmap; from Key
	Member  string
	Version int64 // of the entity that the member is; 1 to MaxVersion
	On      bool
}

//go:embed bit.lua
var bitLua string

var bitKind = &kind{
	name:       "bit",
	companions: []string{":v", ":o"},
	script:     newScript(bitLua),
	append:     appendBits,
	compare:    compareBits,
}

func (b Bit) ref() ref { return ref{kind: bitKind, key: b.Key, member: b.Member, version: b.Version} }

func (b Bit) measure() (size, error) {
	size := size{args: 3, bytes: len(b.Member)}
	return size, cmp.Or(checkCommon(b.Key, b.Version, size), checkMember(b.Member))
}

// appendBits appends all members, then their versions, then their bits.
func appendBits(args *args, part []entry) {
	for i := range part {
		args.text(part[i].member)
	}
	for i := range part {
		args.number(&part[i].version)
	}
	for i := range part {
		args.flag(as[Bit](&part[i]).On)
	}
}

func compareBits(ctx context.Context, pipe pipe, part []entry) func() []Difference {
	key := part[0].key
	bitmap := pipe.Get(ctx, key) // whole: it is dense
	offsets, versions := make([]*redis.StringCmd, len(part)), make([]*redis.StringCmd, len(part))
	for i := range part {
		offsets[i] = pipe.HGet(ctx, key+":o", part[i].member)
		versions[i] = pipe.HGet(ctx, key+":v", part[i].member)
	}
	return func() []Difference {
		var found []Difference
		for i := range part {
			want := as[Bit](&part[i])
			found = append(found, differ(key, want.Member, showBit(want.Version, want.On),
				showBit(storedVersion(versions[i].Val()), bitAt(bitmap.Val(), offsets[i].Val())))...)
		}
		return found
	}
}

func showBit(version int64, on bool) string { return fmt.Sprintf("version %d on %t", version, on) }

// bitAt is the bit of a bitmap at an offset as Redis keeps it; off if it has none.
func bitAt(bitmap, offset string) bool {
	n, err := strconv.Atoi(offset)
	return err == nil && n/8 < len(bitmap) && bitmap[n/8]&(0x80>>(n%8)) != 0
}
