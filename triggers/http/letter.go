package gateway

import (
	"cmp"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/shared/binding"
	"github.com/millrace/millrace/shared/event"
	"github.com/millrace/millrace/shared/fault"
	"github.com/millrace/millrace/shared/kafka"
	"github.com/millrace/millrace/triggers/deadletter"
)

// attributeBytes bounds the attributes of a dead letter.
const attributeBytes = 64 << 10

// letter is what becomes a dead letter, with what fits of it into a record.
type letter struct {
	deadletter.Letter

	kind fault.Kind
	keep int
}

// requestLetter is a whole request as a record: what an event in binary or
// structured mode would be in Kafka.
func requestLetter(r *http.Request, body []byte, cause error) letter {
	attributes := binding.Attributes(r.Header)
	if mediaOf(r) == binding.StructuredMedia {
		attributes = event.Attributes(body)
	}
	return newLetter(r, body, strings.Join(r.Header["Content-Type"], ", "), attributes, cause)
}

func newLetter(r *http.Request, value []byte, contentType string, attributes map[string]string, cause error) letter {
	kind := fault.KindOf(cause)
	l := letter{kind: kind, Letter: deadletter.Letter{
		Topic: letterTopic(attributes["type"]), Value: value,
		Cause: deadletter.Cause{Reason: "refused", Code: strconv.Itoa(kind.Status()), Data: []byte(detail(cause))},
		Dest:  cut("http://" + r.Host + r.URL.Path), Origin: deadletter.OriginHTTP,
	}}
	if key := cmp.Or(attributes["partitionkey"], attributes["subject"]); key != "" && len(key) <= event.MaxOther {
		l.Key = []byte(key)
	}
	l.header("content-type", cut(contentType))
	l.header("content-encoding", cut(r.Header.Get("Content-Encoding")))
	room := attributeBytes
	for _, name := range inOrder(attributes) {
		if size := len(name) + len(attributes[name]); size <= room {
			room -= size
			l.header("ce_"+name, attributes[name])
		}
	}
	l.keep = min(len(value), kafka.MaxMessageBytes-wayBytes-l.Message(0).ByteSize(2))
	return l
}

func cut(text string) string { return text[:min(len(text), event.MaxOther)] }

func (l *letter) header(key, value string) {
	if value != "" {
		l.Headers = append(l.Headers, &sarama.RecordHeader{Key: []byte(key), Value: []byte(value)})
	}
}

// halve shortens what is kept; false: there is nothing more to take away.
func halve(letters []letter) (shorter bool) {
	for n := range letters {
		shorter = shorter || letters[n].keep > 0
		letters[n].keep /= 2
	}
	return shorter
}

// letterTopic is the dead-letter topic of the function that a type names.
func letterTopic(eventType string) string {
	function, _, _ := strings.Cut(eventType, ".")
	if slices.Contains(kafka.Functions(), function) {
		return kafka.DeadLetters(function)
	}
	return kafka.OtherDeadLetters
}

func letterTopics() []string {
	all := []string{kafka.OtherDeadLetters}
	for _, function := range kafka.Functions() {
		all = append(all, kafka.DeadLetters(function))
	}
	return all
}

// inOrder begins with the attributes that say most of an event.
func inOrder(attributes map[string]string) []string {
	names := slices.Sorted(maps.Keys(attributes))
	first := []string{"tenantid", "source", "id", "type", "subject", "time"}
	slices.SortStableFunc(names, func(a, b string) int { return rank(first, a) - rank(first, b) })
	return names
}

func rank(first []string, name string) int {
	if n := slices.Index(first, name); n >= 0 {
		return n
	}
	return len(first)
}

func mediaOf(r *http.Request) string {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media
}
