package runtime

import (
	"crypto/sha256"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/function"
)

// candidate is one event on its way to a decision.
type candidate struct {
	event   *event.Event // nil if not even its attributes could be read
	payload any          // decoded, if invalid is nil
	digest  [sha256.Size]byte
	raw     []byte
	invalid *event.Invalid // why it cannot be decided
	broke   *crashed       // the panic of the function's code that read it, if any
	fromDB  bool           // it was parked before this batch
	unread  bool           // parked, and only its row was read, not the event
	seen    *seenRow       // what is known of its identity, for fromDB only

	letterID uuid.UUID   // the dead letter that it says it is, or none
	letter   *deadLetter // that one, if it is: as read by this transaction

	outcome Outcome
	failed  error // a *fault.Error of this event alone, which leaves it undecided
	request *request
}

// An identity names an event among all those of Millrace.
type identity struct{ tenant, source, id string }

// An entityKey names an entity of the function.
type entityKey struct{ tenant, subject string }

// A streamKey names a producer's stream about an entity.
type streamKey struct {
	entityKey
	source string
}

func (c *candidate) identity() identity {
	return identity{c.event.TenantID, c.event.Source, c.event.ID}
}

func (c *candidate) entity() entityKey { return entityKey{c.event.TenantID, c.event.Subject} }

func (c *candidate) stream() streamKey { return streamKey{c.entity(), c.event.Source} }

// same reports whether o is the same event, delivered again.
func (c *candidate) same(o *candidate) bool {
	return c.identity() == o.identity() && c.digest == o.digest
}

// identified reports whether the event says who it is, even if it cannot be
// decided.
func (c *candidate) identified() bool {
	return c.storable() && c.event.TenantID != "" && c.event.Source != "" && c.event.ID != ""
}

// storable reports whether the event's attributes are fit to be stored and
// compared.
func (c *candidate) storable() bool {
	return c.event != nil && (c.invalid == nil || c.invalid.Reason != event.BadAttribute)
}

// labels are the attributes by which people find a dead letter, as far as they
// could be read.
func (c *candidate) labels() event.Event {
	if c.event == nil {
		return event.Event{}
	}
	e := *c.event
	if !c.storable() {
		for _, text := range []*string{&e.TenantID, &e.Source, &e.ID, &e.Type, &e.Subject} {
			*text = storableText(*text)
		}
	}
	return e
}

// newCandidate checks all that can be checked without the database.
func newCandidate(fn function.Definition, r event.Received, now time.Time) *candidate {
	c := &candidate{event: r.Event, raw: r.Raw, invalid: event.AsInvalid(r.Err)}
	if c.event == nil {
		return c
	}
	c.digest = c.event.Digest()
	c.letterID = takeLetterID(c.event)
	if c.invalid == nil {
		c.check(fn, now)
	}
	return c
}

// check contains a panic of the function's code, so that it costs one event and
// not the request, which would come again for ever.
func (c *candidate) check(fn function.Definition, now time.Time) {
	defer func() {
		if r := recover(); r != nil {
			c.broke = &crashed{r, string(debug.Stack())}
			c.invalid = unfit(c.broke)
		}
	}()
	c.invalid = event.AsInvalid(decode(fn, c, now))
}

func decode(fn function.Definition, c *candidate, now time.Time) (err error) {
	if err := c.event.Validate(now); err != nil {
		return err
	}
	if err := checkReserved(c.event); err != nil {
		return err
	}
	c.payload, err = fn.Decode(c.event)
	return err
}

// checkReserved refuses an event with the source of an emitter that no emitter
// would have numbered so. It guards against mistakes; who may write to a topic
// is Kafka's to say.
func checkReserved(e *event.Event) error {
	if !e.Emitted() {
		return nil
	}
	want := e.Function() + "/" + url.PathEscape(e.Subject) + "/" + strconv.FormatInt(e.Sequence, 10)
	if e.Sequence == 0 || e.ID != want {
		return event.Invalidf(event.ReservedProducer, "sources under %s are for what functions emit", event.ReservedSource)
	}
	return nil
}
