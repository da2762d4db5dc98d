package traffic_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/traffic"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/function/functiontest"
)

var start = time.Date(2026, 3, 14, 9, 26, 53, 123456789, time.UTC)

func draw(t *rapid.T) traffic.Settings {
	share := func(name string) float64 { return rapid.SampledFrom([]float64{0, 0.02, 0.2, 1}).Draw(t, name) }
	s := traffic.Settings{
		Seed: rapid.Uint64().Draw(t, "seed"), Start: start,
		Rate:    rapid.SampledFrom([]float64{0, 1, 1000}).Draw(t, "rate"),
		Events:  rapid.IntRange(1, 400).Draw(t, "events"),
		Tenants: rapid.IntRange(1, 5).Draw(t, "tenants"), Entities: rapid.IntRange(1, 10).Draw(t, "entities"),
		Skew: share("skew"), Mix: traffic.Defaults().Mix, Sequences: rapid.Bool().Draw(t, "sequences"),
		Duplicates: share("duplicates"), Reorder: share("reorder"), Gaps: share("gaps"), OpenGaps: share("open gaps"),
		Poison: share("poison"),
	}
	if rapid.Bool().Draw(t, "one family") {
		if err := s.Only(rapid.SampledFrom(slices.Sorted(maps.Keys(s.Mix))).Draw(t, "family")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func generate(t functiontest.TB, s traffic.Settings) (all []traffic.Record, expected traffic.Expected) {
	t.Helper()
	g, err := traffic.New(s)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for r, ok := g.Next(); ok; r, ok = g.Next() {
		all = append(all, r)
	}
	return all, g.Expected()
}

func TestSameSettingsSameRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		one, expected := generate(t, s)
		two, again := generate(t, s)
		if !reflect.DeepEqual(one, two) || !reflect.DeepEqual(expected, again) {
			t.Fatalf("%+v and %+v differ", expected, again)
		}
		s.Seed++
		other, _ := generate(t, s)
		subjects := map[string]bool{}
		for _, r := range one {
			subjects[r.Event.Subject] = true
		}
		for _, r := range other {
			if subjects[r.Event.Subject] {
				t.Fatalf("two seeds have %s", r.Event.Subject)
			}
		}
	})
}

// TestExpectedIsWhatComes counts the records by what they are, not by what the
// generator says of them.
func TestExpectedIsWhatComes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		records, want := generate(t, s)
		digests := map[[3]string][32]byte{}
		streams := map[[4]string][]int64{}
		types, duplicates, poison := map[string]int{}, 0, 0
		for _, r := range records {
			e := read(r)
			if e == nil || e.Validate(start.Add(time.Hour)) != nil || e.Emitted() || cannotBeDecided(e) {
				poison++
				continue
			}
			identity := [3]string{e.TenantID, e.Source, e.ID}
			switch digest, known := digests[identity]; {
			case !known:
				digests[identity] = e.Digest()
				types[e.Type]++
				stream := [4]string{e.Function(), e.TenantID, e.Subject, e.Source}
				streams[stream] = append(streams[stream], e.Sequence)
			case digest == e.Digest():
				duplicates++
			default:
				poison++
			}
		}
		if len(digests) != want.Distinct() || !maps.Equal(types, want.Types) || duplicates != want.Duplicates ||
			poison != want.Poisoned() || len(records) != want.Records || want.Distinct()+want.Lost != s.Events {
			t.Fatalf("%d distinct, %d duplicates, %d poison, types %v; expected %+v", len(digests), duplicates, poison, types, want)
		}
		if parked := parkedIn(streams, s.Sequences); parked != want.Parked {
			t.Fatalf("%d events wait for ever, expected %d", parked, want.Parked)
		}
	})
}

// read reads a record by the CloudEvents Kafka binding.
func read(r traffic.Record) *event.Event {
	attributes, contentType := map[string]string{}, ""
	for _, h := range r.Headers {
		if name, ok := strings.CutPrefix(h.Name, "ce_"); ok {
			attributes[name] = h.Value
		} else {
			contentType = h.Value
		}
	}
	if strings.HasPrefix(contentType, "application/cloudevents+json") {
		return event.ParseStructured(r.Value).Event
	}
	return event.ParseBinary(attributes, contentType, r.Value).Event
}

// cannotBeDecided knows what the poison has that no good event has.
func cannotBeDecided(e *event.Event) bool {
	return strings.HasSuffix(e.Type, ".exploded.v1") || strings.Contains(string(e.Data), "nonsense")
}

// parkedIn counts the events that have a gap before them.
func parkedIn(streams map[[4]string][]int64, sequences bool) (parked int) {
	for _, stream := range streams {
		slices.Sort(stream)
		for n, sequence := range stream {
			if sequences && sequence != int64(n+1) {
				parked++
			}
		}
	}
	return parked
}

// TestStoriesAreApplied folds traffic that arrives as it was meant with the
// functions' own rules: nothing is refused, and what trades lead to is counted.
func TestStoriesAreApplied(t *testing.T) {
	t.Parallel()
	known := map[string]function.Definition{}
	for _, fn := range functions.All() {
		known[fn.FunctionName()] = fn
	}
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		s.Gaps, s.Reorder, s.Duplicates, s.Poison = 0, 0, 0, 0
		records, expected := generate(t, s)
		folds := map[[3]string]*functiontest.Fold{}
		emitted := 0
		for _, r := range records {
			e := read(r)
			if known[e.Function()] == nil {
				continue
			}
			of := [3]string{e.Function(), e.TenantID, e.Subject}
			if folds[of] == nil {
				folds[of] = functiontest.NewFold(known[e.Function()], e.Subject)
			}
			emitted += len(folds[of].Apply(t, e).Emitted)
		}
		if emitted != expected.Emitted {
			t.Fatalf("%d events are emitted, expected %d", emitted, expected.Emitted)
		}
	})
}

func TestFreshIsAlone(t *testing.T) {
	t.Parallel()
	s := traffic.Defaults()
	s.Start = start
	g, err := traffic.New(s)
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]int{}
	for range 1000 {
		r, _ := g.Next()
		subjects[r.Event.Subject]++
		fresh := g.Fresh().Event
		if subjects[fresh.Subject]++; subjects[fresh.Subject] > 1 {
			t.Fatalf("%s is told of twice", fresh.Subject)
		}
	}
}

func TestRateAndSpikes(t *testing.T) {
	t.Parallel()
	s := traffic.Defaults()
	s.Start, s.Rate, s.Duration = start, 100, 20*time.Second
	s.Spike = traffic.Spike{Factor: 10, For: time.Second, Every: 10 * time.Second}
	records, _ := generate(t, s)
	perSecond := map[time.Duration]int{}
	for _, r := range records {
		perSecond[r.At/time.Second]++
	}
	for second, n := range perSecond {
		want := 100
		if second%10 == 9 {
			want = 1000
		}
		if math.Abs(float64(n-want)) > 2 {
			t.Errorf("second %d has %d records, want %d", second, n, want)
		}
	}
	if len(perSecond) != 20 {
		t.Errorf("it took %d seconds", len(perSecond))
	}
}

// TestMixAndSkew: a half, a quarter and a quarter; the first tenant has the most.
func TestMixAndSkew(t *testing.T) {
	t.Parallel()
	s := traffic.Defaults()
	s.Start, s.Events, s.Tenants = start, 20_000, 3
	records, _ := generate(t, s)
	families, tenants := map[string]float64{}, map[string]int{}
	for _, r := range records {
		families[r.Event.Function()] += 100 / float64(len(records))
		tenants[r.Event.TenantID]++
	}
	for family, want := range s.Mix {
		if math.Abs(families[family]-want) > 1.5 {
			t.Errorf("%s is %.1f %% of the events, want %.0f", family, families[family], want)
		}
	}
	byCount := slices.SortedFunc(maps.Keys(tenants), func(a, b string) int { return cmp.Compare(tenants[b], tenants[a]) })
	if !slices.Equal(byCount, []string{"acme", "globex", "initech"}) || math.Abs(float64(tenants["acme"])/float64(tenants["globex"])-2) > 0.1 {
		t.Errorf("tenants: %v", tenants)
	}
}

// TestEndBringsWhatWasHeldBack: late events close their gaps also when somebody
// has had enough.
func TestEndBringsWhatWasHeldBack(t *testing.T) {
	t.Parallel()
	s := traffic.Defaults()
	s.Start, s.Sequences, s.Gaps = start, true, 0.5
	g, err := traffic.New(s)
	if err != nil {
		t.Fatal(err)
	}
	streams, count := map[[4]string][]int64{}, 0
	for r, ok := g.Next(); ok; r, ok = g.Next() {
		e := r.Event
		of := [4]string{e.Function(), e.TenantID, e.Subject, e.Source}
		streams[of] = append(streams[of], e.Sequence)
		if count++; count == 3000 {
			g.End()
		}
	}
	if expected := g.Expected(); parkedIn(streams, true) != 0 || count == 3000 || count > 4000 || expected.Late == 0 {
		t.Errorf("%d records, %d would wait for ever, %d late", count, parkedIn(streams, true), expected.Late)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	s := traffic.Settings{Poison: 2, Rate: -1, Mix: map[string]float64{"weather": 1}, Spike: traffic.Spike{Factor: 2}}
	_, err := traffic.New(s)
	for _, want := range []string{"poison is 2", "rate is -1", "tenants are 0", "entities are 0", `no family "weather"`, "a spike is"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if err := s.Only("weather"); err == nil {
		t.Error("there is a family weather")
	}
}

func BenchmarkGenerator(b *testing.B) {
	s := traffic.Defaults()
	s.Start = start
	g, err := traffic.New(s)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		g.Next()
	}
}
