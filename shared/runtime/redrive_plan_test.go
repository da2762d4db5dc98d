package runtime

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

// redrive makes a candidate as ev does, from "spec@kind", that names a dead
// letter of its own in state redriving; "spec@kind-state" in another state.
func redrive(spec string) *candidate {
	spec, letter, is := strings.Cut(spec, "@")
	c := ev(spec)
	if !is {
		return c
	}
	kind, state, is := strings.Cut(letter, "-")
	if !is {
		state = redrivingState
	}
	c.letterID = uuid.NewSHA1(uuid.Nil, []byte(c.event.ID))
	c.letter = &deadLetter{id: c.letterID, kind: kind, state: state}
	return c
}

func TestPlanRedrives(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		batch           string
		position        int64
		parked          string
		applied, refuse string // what is seen
		want            string
	}{
		{name: "refused", batch: "a@refused", refuse: "a", want: "decide a | again a | redriven a"},
		{name: "refused, its sequence stays consumed", batch: "a=1@refused c=3", position: 2, refuse: "a",
			want: "decide a c | again a | redriven a | stream 3+0"},
		{name: "refused, its stream waits", batch: "a=1@refused", position: 2, parked: "d=4", refuse: "a",
			want: "decide a | again a | redriven a"},
		{name: "refused, past the horizon", batch: "a=1@refused", position: 2, want: "decide a | again a | redriven a"},
		{name: "refused, and applied meanwhile", batch: "a@refused", applied: "a", want: "redriven a | duplicate a"},
		{name: "refused, with other content", batch: "a!@refused", refuse: "a", want: "redriven a | dead a:identity-conflict"},
		{name: "refused, now undecidable", batch: "a?@refused", refuse: "a", want: "redriven a | dead a:bad-payload"},
		{name: "twice in a batch", batch: "a@refused a@refused", refuse: "a", want: "decide a | again a | redriven a | duplicate a"},
		{name: "between its repeats", batch: "a a@refused a", refuse: "a", want: "decide a | again a | redriven a | duplicate a a"},
		{name: "redriven before", batch: "a@refused-redriven", refuse: "a", want: "duplicate a"},
		{name: "not by an operator", batch: "a@refused-open", refuse: "a", want: "duplicate a"},
		{name: "dropped", batch: "a@refused-dropped", refuse: "a", want: "duplicate a"},

		{name: "undecided", batch: "a@undecided", want: "decide a | redriven a"},
		{name: "undecided, closes its gap", batch: "b=2@undecided", position: 1, parked: "c=3",
			want: "decide b c | unpark c | redriven b | stream 3+0"},
		{name: "undecided, still early", batch: "c=3@undecided", position: 1, want: "park c | redriven c | stream 1+1"},
		{name: "undecided, parked meanwhile", batch: "c=3@undecided", position: 1, parked: "c=3", want: "waiting c | redriven c"},
		{name: "undecided, decided meanwhile", batch: "a@undecided", applied: "a", want: "redriven a | duplicate a"},
		{name: "undecided, its sequence decided by another", batch: "a=1@undecided", position: 3, want: "redriven a | dead a:sequence-reused"},
		{name: "undecided again", batch: "a?@undecided", want: "redriven a | dead a:bad-payload"},
		{name: "undecided, not by an operator", batch: "a@undecided-open", want: "decide a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			row := &streamRow{position: test.position, waiting: map[int64]*candidate{}}
			k := &known{seen: map[identity]*seenRow{}, streams: map[streamKey]*streamRow{}, parkedOf: map[string]int{}}
			for spec := range strings.FieldsSeq(test.parked) {
				c := ev(spec)
				c.fromDB = true
				row.waiting[c.event.Sequence] = c
				row.parked++
			}
			for kind, ids := range map[OutcomeKind]string{Applied: test.applied, Refused: test.refuse} {
				for id := range strings.FieldsSeq(ids) {
					k.seen[identity{"t", "/s", id}] = &seenRow{outcome: Outcome{Kind: kind}}
				}
			}
			var batch []*candidate
			for spec := range strings.FieldsSeq(test.batch) {
				batch = append(batch, redrive(spec))
			}
			k.streams[batch[0].stream()] = row
			if got := describe(makePlan(batch, nil, k, limits{drain: 3, parked: 3})); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
