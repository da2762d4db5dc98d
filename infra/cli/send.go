package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/infra/cli/send"
	"github.com/millrace/millrace/infra/cli/terminal"
)

// sendOptions are the flags of `millrace send`.
type sendOptions struct {
	send.Defaults
	file    string
	wait    bool
	timeout time.Duration
	verbose bool
}

func (a *app) sendCommand() *cobra.Command {
	var o sendOptions
	c := &cobra.Command{
		Use:   "send",
		Short: "Put events into Kafka and say what was decided",
		Long: `Puts CloudEvents into the topic of the function that their type names, and says
when Kafka has them: acknowledged by all in-sync replicas.

Events come from --file or standard input (a JSON array, JSON lines, or one
event), or are made from flags. What an event lacks is filled in: specversion,
id, time, source, and whatever a flag gives. What it says itself stays.

All events of a file are checked before the first is sent; of a pipe each when it
comes. An error names the line and the event, both counted from 1. (The way in by
HTTP counts the events of a batch from 0.)

With --wait it also says what the function decided about each: applied, refused
by the rules, a duplicate, parked until an earlier event of its stream comes, or
a dead letter. The exit status is 0 if all were applied or duplicates.

Without an id of its own an event gets a new one, and sending it again takes
effect again.`,
		Example: `  millrace send --wait --type trade.executed.v1 --tenant acme --subject account-1 \
    --data '{"instrument":"ACME","side":"buy","quantity":"100","price":"12.50","currency":"EUR"}'

  millrace send --file trades.jsonl
  generate-trades | millrace send --tenant acme --wait --timeout 2m

  # what breaks the event contract is refused here, unless:
  millrace send --unchecked --file broken.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.send(c.Context(), o, c.CommandPath()) },
	}
	f := c.Flags()
	f.StringVarP(&o.file, "file", "f", "", "file of events; - is standard input")
	f.StringVar(&o.Type, "type", "", "type, for example trade.executed.v1")
	f.StringVar(&o.Tenant, "tenant", "", "tenantid")
	f.StringVar(&o.Subject, "subject", "", "subject: the entity, an account for example")
	f.StringVar(&o.Data, "data", "", "payload in JSON; makes one event from flags")
	f.StringVar(&o.Source, "source", "", `source: the producer (default "`+send.DefaultSource+`")`)
	f.StringVar(&o.ID, "id", "", "id, unique within tenant and source (default: a new one)")
	f.StringVar(&o.Sequence, "sequence", "", "position in the stream of tenant, source and subject, from 1")
	f.StringVar(&o.Time, "time", "", "when it happened, RFC 3339 (default: now)")
	f.StringToStringVar(&o.Extensions, "set", nil, "further attributes, name=value")
	f.StringVar(&o.Topic, "topic", "", "topic (default: the one of the function that the type names)")
	f.BoolVar(&o.Unchecked, "unchecked", false, "send what breaks the event contract too; it becomes a dead letter")
	f.BoolVarP(&o.wait, "wait", "w", false, "wait for what the functions decide")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "a line for each event, however many there are")
	return c
}

// chunk is how many events are handed to Kafka at once.
const chunk = 1000

func (a *app) send(ctx context.Context, o sendOptions, command string) (err error) {
	events, closeInput, err := a.input(o, command)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeInput()) }()
	needs := []string{"KAFKA_BROKERS"}
	if o.wait {
		needs = append(needs, "DATABASE_URL")
	}
	at, err := a.locate(needs...)
	if err != nil {
		return err
	}
	var waiter *send.Waiter
	if o.wait {
		if waiter, err = send.NewWaiter(ctx, at.DatabaseURL, at.KafkaBrokers, at.Kafka); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, waiter.Close()) }()
	}
	producer, err := send.NewProducer(at.KafkaBrokers, at.Kafka)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()

	t := newTally(a.Out, o.verbose)
	err = sendAll(events, producer, t)
	t.sent()
	if err == nil && len(t.stored) == 0 {
		return &usageError{command: command, err: errors.New("no events in the input: give --file or --data, or pipe them in")}
	}
	if err != nil || waiter == nil {
		return err
	}
	return a.await(ctx, waiter, t, o.timeout)
}

// await says what was decided.
func (a *app) await(ctx context.Context, waiter *send.Waiter, t *tally, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := terminal.New(a.Err).Begin("waiting for decisions")
	outcomes, err := waiter.Wait(ctx, t.stored)
	done()
	if err != nil {
		return err
	}
	if !t.decided(outcomes) {
		return errSilent
	}
	return nil
}

// sendAll sends in chunks; the tally learns of each that Kafka has.
func sendAll(events iter.Seq2[send.Event, error], producer *send.Producer, t *tally) error {
	var batch []send.Event
	flush := func() error {
		stored, err := producer.Send(batch)
		t.add(stored)
		batch = batch[:0]
		return err
	}
	for e, err := range events {
		if err != nil {
			return errors.Join(err, flush())
		}
		if batch = append(batch, e); len(batch) == chunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// input is the events that the flags ask for.
func (a *app) input(o sendOptions, command string) (iter.Seq2[send.Event, error], func() error, error) {
	nothing := func() error { return nil }
	if o.Data != "" && o.file == "" {
		e, err := o.FromFlags()
		return func(yield func(send.Event, error) bool) { yield(e, nil) }, nothing, err
	}
	switch {
	case o.Data != "":
		return nil, nil, &usageError{command: command, err: errors.New("--data and --file exclude each other")}
	case o.file != "" && o.file != "-":
		f, err := openChecked(o.file, o.Defaults)
		if err != nil {
			return nil, nil, err
		}
		return completed(f, o.Defaults), f.Close, nil
	case o.file == "" && readsTerminal(a.In):
		return nil, nil, &usageError{command: command, err: errors.New("no events: give --file, --data, or pipe them in")}
	default:
		return completed(a.In, o.Defaults), nothing, nil
	}
}

func readsTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && terminal.IsTerminal(f)
}

// openChecked opens a file of events after all of them were checked: half of a
// file sent is worse than none. What comes by a pipe is checked as it comes.
func openChecked(file string, d send.Defaults) (*os.File, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening the file of events: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		if err = check(completed(f, d)); err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", file, err), f.Close())
	}
	return f, nil
}

// check lists what cannot be sent.
func check(events iter.Seq2[send.Event, error]) error {
	all, bad := 0, 0
	var list strings.Builder
	for _, err := range events {
		all++
		if err == nil {
			continue
		}
		if bad++; bad <= few {
			fmt.Fprintf(&list, "\n  %v", err)
		}
	}
	switch {
	case bad == 0:
		return nil
	case bad > few:
		fmt.Fprintf(&list, "\n  ... and %d more", bad-few)
	}
	return fmt.Errorf("%d of %d events cannot be sent, so none was:%s", bad, all, list.String())
}

// completed reads events and fills in what they lack. It goes on after an event
// that breaks the contract, as far as the input can be read.
func completed(r io.Reader, d send.Defaults) iter.Seq2[send.Event, error] {
	return func(yield func(send.Event, error) bool) {
		for in, err := range send.Read(r) {
			var e send.Event
			if err == nil {
				if e, err = d.Complete(in.Value); err != nil {
					err = fmt.Errorf("%s: %w", in, err)
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
