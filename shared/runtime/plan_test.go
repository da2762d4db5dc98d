package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/shared/event"
)

// planned is written down as text: "decide a1 a2 | park a4 | ...".
func describe(p *plan) string {
	var parts []string
	add := func(name string, ids []string) {
		if len(ids) > 0 {
			parts = append(parts, name+" "+strings.Join(ids, " "))
		}
	}
	names := func(events []*candidate) (ids []string) {
		for _, c := range events {
			ids = append(ids, c.event.ID)
		}
		return ids
	}
	add("decide", names(p.decide))
	add("park", names(p.park))
	add("waiting", names(p.waiting))
	add("unpark", names(p.unpark))
	add("again", names(p.again))
	add("redriven", names(p.redriven))
	var duplicates, dead, more []string
	for _, d := range p.duplicates {
		duplicates = append(duplicates, d.event.ID)
	}
	for _, d := range p.dead {
		dead = append(dead, d.event.ID+":"+d.why.Reason)
	}
	for _, s := range p.streams {
		more = append(more, fmt.Sprintf("%d+%d", s.position, s.parked))
		if s.more {
			more = append(more, "more")
		}
	}
	add("duplicate", duplicates)
	add("dead", dead)
	slices.Sort(more)
	add("stream", more)
	return strings.Join(parts, " | ")
}

// ev makes a candidate of one stream from "id" or "id=sequence", with "!" for
// other content, "?" for one that cannot be decided, and a reserved source
// before the id of an emitted one.
func ev(spec string) *candidate {
	c := &candidate{event: &event.Event{TenantID: "t", Source: "/s", Subject: "x"}}
	if rest, ok := strings.CutPrefix(spec, event.ReservedSource); ok {
		spec = rest
		c.event.Source = event.ReservedSource + "s"
	}
	if rest, ok := strings.CutSuffix(spec, "!"); ok {
		spec = rest
		c.digest[0] = 1
	}
	if rest, ok := strings.CutSuffix(spec, "?"); ok {
		spec = rest
		c.invalid = event.Invalidf(event.BadPayload, "bad")
	}
	id, sequence, _ := strings.Cut(spec, "=")
	c.event.ID = id
	if sequence != "" {
		if err := c.event.SetAttribute("sequence", sequence); err != nil {
			panic(err)
		}
	}
	return c
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		batch    string
		position int64
		parked   string // rows of the database
		seen     string
		want     string
	}{
		{name: "no sequence", batch: "a b", want: "decide a b"},
		{name: "in order", batch: "a=1 b=2 c=3", want: "decide a b c | stream 3+0"},
		{name: "gap", batch: "a=1 c=3", want: "decide a | park c | stream 1+1"},
		{name: "gap closes in the batch", batch: "c=3 a=1 b=2", want: "decide a b c | stream 3+0"},
		{name: "gap closes for parked rows", batch: "b=2", position: 1, parked: "c=3 d=4 f=6",
			want: "decide b c d | unpark c d | stream 4+1"},
		{name: "parked again", batch: "c=3", position: 1, parked: "c=3", want: "waiting c"},
		{name: "parked twice in a batch", batch: "c=3 c=3", position: 1, want: "park c | waiting c | stream 1+1"},
		{name: "two want one parked sequence", batch: "x=3", position: 1, parked: "c=3", want: "dead x:sequence-conflict"},
		{name: "parked with other content", batch: "c=3!", position: 1, parked: "c=3", want: "dead c:sequence-conflict"},
		{name: "ready parked event delivered again", batch: "c=3", position: 2, parked: "c=3 d=4",
			want: "decide c d | waiting c | unpark c d | stream 4+0"},
		{name: "limit of a drain", batch: "b=2", position: 1, parked: "c=3 d=4 e=5 f=6",
			want: "decide b c d e | unpark c d e | stream 5+1 more"},
		{name: "rows without their events", batch: "b=2", position: 1, parked: "c=3 d=4~ e=5~",
			want: "decide b c | unpark c | stream 3+2 more"},
		{name: "a row without its event, delivered again", batch: "c=3", position: 2, parked: "c=3~",
			want: "waiting c | stream 2+1 more"},
		{name: "seen", batch: "a=1", position: 1, seen: "a", want: "duplicate a"},
		{name: "seen, without sequence", batch: "a", seen: "a", want: "duplicate a"},
		{name: "seen with other content", batch: "a!", seen: "a", want: "dead a:identity-conflict"},
		{name: "twice in a batch", batch: "a a", want: "decide a | duplicate a"},
		{name: "twice in a batch with other content", batch: "a a!", want: "decide a | dead a:identity-conflict"},
		{name: "old sequence, new id", batch: "x=1", position: 3, want: "dead x:sequence-reused"},
		{name: "undecidable leaves its gap", batch: "a=1 b=2? c=3", want: "decide a | park c | dead b:bad-payload | stream 1+1"},
		{name: "undecidable but seen", batch: "a?", seen: "a", want: "duplicate a"},
		{name: "parked row turned undecidable", batch: "b=2", position: 1, parked: "c=3? d=4",
			want: "decide b | unpark c | dead c:bad-payload | stream 2+1"},
		{name: "too many parked", batch: "b=2 c=3 d=4 e=5 f=6", want: "park b c d | dead e:parked-limit f:parked-limit | stream 0+3"},
		{name: "emitted events have no limit", batch: "/millrace/b=2 /millrace/c=3 /millrace/d=4 /millrace/e=5",
			want: "park b c d e | stream 0+4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			row := &streamRow{position: test.position, waiting: map[int64]*candidate{}}
			k := &known{seen: map[identity]*seenRow{}, streams: map[streamKey]*streamRow{}, parkedOf: map[string]int{}}
			for spec := range strings.FieldsSeq(test.parked) {
				c := ev(strings.TrimSuffix(spec, "~"))
				c.fromDB, c.unread = true, strings.HasSuffix(spec, "~")
				row.waiting[c.event.Sequence] = c
				row.parked++
			}
			for id := range strings.FieldsSeq(test.seen) {
				k.seen[identity{"t", "/s", id}] = &seenRow{outcome: Outcome{Kind: Applied}}
			}
			var batch []*candidate
			for spec := range strings.FieldsSeq(test.batch) {
				batch = append(batch, ev(spec))
			}
			k.streams[batch[0].stream()] = row
			l := limits{drain: 3, parked: 3}
			first := describe(makePlan(batch, nil, k, l))
			got := describe(makePlan(batch, nil, k, l))
			if got != first {
				t.Errorf("planned again: %q, first %q", got, first)
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
