package outbox

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/kafka"
)

const (
	// deadLetterPage bounds the dead letters in memory at a time, in bytes; one
	// may exceed it.
	deadLetterPage = 8 << 20
	// maxDeadLetter bounds a published dead letter, in bytes: less than the
	// 1,048,588 that a Kafka topic takes by default. Of a larger one the data
	// stays in PostgreSQL.
	maxDeadLetter = 1 << 20 * 9 / 10
	// maxErrorData is what Knative allows knativeerrordata.
	// https://knative.dev/docs/eventing/event-delivery/
	maxErrorData = 1024
)

// The length of a bytea is known without reading it.
const readDeadLetters = `
SELECT id, gone, before < $2 OR gone, function, kind, reason, cause,
       CASE WHEN before < $2 THEN event END
FROM (
    SELECT batch.id, d.id IS NULL AS gone, n,
           coalesce(d.function, '') AS function, coalesce(d.kind, '') AS kind,
           coalesce(d.reason, '') AS reason, coalesce(d.cause, '') AS cause, d.event,
           coalesce(sum(length(d.event)) OVER (ORDER BY n) - length(d.event), 0) AS before
    FROM unnest($1::uuid[]) WITH ORDINALITY AS batch (id, n)
    LEFT JOIN millrace.dead_letters AS d ON d.id = batch.id
) AS letters
ORDER BY n`

// deadLetter is a row of millrace.dead_letters.
type deadLetter struct {
	id                            uuid.UUID
	gone                          bool
	function, kind, reason, cause string
	event                         []byte
}

// readDeadLetters reads as many as may be in memory, and returns the ids of the
// others.
func (r *Relay) readDeadLetters(ctx context.Context, ids []uuid.UUID) (page []deadLetter, more []uuid.UUID, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	rows, err := r.cfg.Pool.Query(ctx, readDeadLetters, ids, deadLetterPage)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %d dead letters: %w", len(ids), err)
	}
	var d deadLetter
	var fits bool
	_, err = pgx.ForEachRow(rows, []any{&d.id, &d.gone, &fits, &d.function, &d.kind, &d.reason, &d.cause, &d.event}, func() error {
		if fits {
			page = append(page, d)
		} else {
			more = append(more, d.id)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading %d dead letters: %w", len(ids), err)
	}
	return page, more, nil
}

// message makes the record. A readable event is published with the attributes
// that Knative gives dead letters; of what is none, the bytes are, with these
// attributes as headers.
func (d *deadLetter) message() Message {
	attributes := []Header{
		{"knativeerrordest", event.ReservedSource + d.function},
		{"knativeerrorcode", d.code()},
		{"knativeerrordata", errorData(d.reason + ": " + d.cause)},
	}
	topic := kafka.DeadLetters(d.function)
	received := event.ParseStructured(d.event)
	if received.Event == nil {
		headers := make([]Header, len(attributes))
		for n, a := range attributes {
			headers[n] = Header{"ce_" + a.Name, a.Value}
		}
		return Message{Topic: topic, Value: d.event[:min(len(d.event), maxDeadLetter)], Headers: headers}
	}
	e := received.Event
	if len(d.event) > maxDeadLetter {
		e.Data = nil
	}
	for _, a := range attributes {
		_ = e.SetAttribute(a.Name, a.Value) // an extension of a good name: no error
	}
	return Message{
		Topic: topic, Key: e.Subject, Value: event.AppendJSON(nil, e),
		Headers: []Header{{contentType, structuredMedia}},
	}
}

// code is the HTTP status that a synchronous call would have got.
func (d *deadLetter) code() string {
	if d.kind == "refused" {
		return "422"
	}
	return "400"
}

// errorData makes text fit for an attribute: control characters are forbidden
// there.
func errorData(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= maxErrorData {
		return text
	}
	text = text[:maxErrorData]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}
