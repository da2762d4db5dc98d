package traffic

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/millrace/millrace/shared/event"
)

// story tells events in the order in which their producers mean them.
type story struct {
	r        *rand.Rand
	settings Settings
	families []string
	family   choice
	tenant   choice
	entity   choice
	tenants  []*tenant
	// made counts entities, and names them.
	made int
}

// tenant is who has entities; a nil one was not heard of yet.
type tenant struct {
	name          string
	agents        []*agent
	conversations []*conversation
	accounts      []*account
}

func newStory(s Settings) *story {
	story := &story{
		r: rand.New(rand.NewPCG(s.Seed, 1)), settings: s,
		families: slices.Sorted(maps.Keys(s.Mix)), tenant: zipf(s.Tenants, s.Skew), entity: zipf(s.Entities, s.Skew),
		tenants: make([]*tenant, s.Tenants),
	}
	weights := make([]float64, len(story.families))
	for n, family := range story.families {
		weights[n] = s.Mix[family]
	}
	story.family = weighted(weights...)
	return story
}

// names are those of the first tenants.
var names = []string{
	"acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell", "cyberdyne", "soylent", "wonka", "duff",
}

func (s *story) pickTenant() *tenant {
	n := s.tenant.pick(s.r)
	if s.tenants[n] == nil {
		t := &tenant{name: fmt.Sprintf("tenant-%d", n+1)}
		if n < len(names) {
			t.name = names[n]
		}
		t.agents = make([]*agent, s.settings.Entities)
		t.conversations = make([]*conversation, s.settings.Entities)
		t.accounts = make([]*account, s.settings.Entities)
		s.tenants[n] = t
	}
	return s.tenants[n]
}

// next tells the next event.
func (s *story) next(at time.Time) *intent {
	family, t := s.families[s.family.pick(s.r)], s.pickTenant()
	i := s.of(family, t)
	i.event.Time = at
	return i
}

func (s *story) of(family string, t *tenant) *intent {
	switch family {
	case "agent":
		return s.tellAgent(s.pickAgent(t))
	case "conversation":
		return s.tellConversation(t, s.pickConversation(t))
	case "message":
		return s.tellMessage(s.pickTalk(t))
	}
	return s.tellAccount(family, s.pickAccount(t))
}

// fresh tells the first event of an entity that nothing else is ever told of.
func (s *story) fresh(at time.Time) *intent {
	family, t := s.families[s.family.pick(s.r)], s.pickTenant()
	var i *intent
	switch family {
	case "agent":
		i = s.tellAgent(s.newAgent(t))
	case "conversation":
		i = s.tellConversation(t, s.newConversation(t))
	case "message":
		i = s.tellMessage(s.newConversation(t))
	default:
		i = s.tellAccount(family, s.newAccount(t))
	}
	i.event.Time = at
	return i
}

// entity is what events are about.
type entity struct {
	tenant, name string
	streams      []*stream
	// over says that a stream of it was torn, and that enough has come after: a
	// new entity takes its place, or its parked events would grow without end.
	over bool
}

// stream is what one source says of one entity to one function.
type stream struct {
	family, source string
	of             *entity
	sequence       int64
	torn           bool // an event of it is lost
	parked         int
}

// afterLoss is how many events follow one that is lost.
const afterLoss = 3

// intent is an event as its producer means it.
type intent struct {
	event  *event.Event
	stream *stream
	// parked says that an event before it is lost, which it waits for.
	parked bool
}

func (s *story) newEntity(t *tenant, kind string) entity {
	s.made++
	return entity{tenant: t.name, name: kind + "-" + strconv.FormatUint(s.settings.Seed, 36) + "-" + strconv.Itoa(s.made)}
}

// say makes an event.
func (s *story) say(e *entity, source, eventType string, data map[string]any) *intent {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // texts, numbers and lists of these
	}
	i := &intent{event: &event.Event{
		TenantID: e.tenant, Source: source, ID: s.id(), Type: eventType, Subject: e.name,
		ContentType: "application/json", Data: text, IsJSON: true,
	}}
	i.stream = e.stream(i.event.Function(), source)
	if s.settings.Sequences {
		i.stream.sequence++
		i.event.Sequence = i.stream.sequence
	}
	if i.stream.torn {
		i.parked = s.settings.Sequences
		i.stream.parked++
		e.over = i.stream.parked >= afterLoss
	}
	return i
}

func (e *entity) stream(family, source string) *stream {
	for _, s := range e.streams {
		if s.family == family && s.source == source {
			return s
		}
	}
	s := &stream{family: family, source: source, of: e}
	e.streams = append(e.streams, s)
	return s
}

// id is a random one, as most producers make them.
func (s *story) id() string {
	var id uuid.UUID
	for n := range id {
		id[n] = byte(s.r.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // RFC 9562, version 4
	return id.String()
}

// odds is true so often of a hundred.
func (s *story) odds(percent int) bool { return s.r.IntN(100) < percent }
