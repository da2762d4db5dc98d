package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/functions"
	"github.com/millrace/millrace/infra/cli/terminal"
	"github.com/millrace/millrace/infra/platform"
	"github.com/millrace/millrace/infra/records"
	"github.com/millrace/millrace/infra/replay"
	"github.com/millrace/millrace/shared/function"
	"github.com/millrace/millrace/shared/runtime"
)

// replayOptions are the flags of `millrace replay`.
type replayOptions struct {
	replay.Config

	function, from, into, group      string
	offsets, since, until, afterFlag string
	json                             bool
}

func (a *app) replayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay",
		Short: "Deliver the events of Kafka or of the audit log once more",
		Long: `Delivers events once more, of all functions or of one.

Into the live system that changes nothing, since every event is known: it counts
what became of each, and names those that did change something, which had been
lost. Into a shadow, a database that it makes on the same server, all is decided
anew, and the result compared with the live audit log; the shadow is dropped
afterwards unless --keep says else.

With --dry-run nothing is delivered: it says which events are known, which are
not, and which are in conflict with what was decided.

Of Kafka it takes what the trigger of a function is through with. When it is
stopped by Ctrl-C it says how to go on.

  exit status 0   nothing changed; of a shadow: it is what the live audit log gives
              1   something changed (in a dry run: would change), or differs
              2   the command was not understood`,
		Example: `  millrace replay --dry-run
  millrace replay --function trade --offsets 0:1200-1500,3
  millrace replay --function trade --since 2h --rate 2000
  millrace replay --from audit --into shadow`,
		Args: noArgs,
		RunE: checked(func() error { return o.complete(time.Now()) }, func(ctx context.Context) error { return a.replay(ctx, o) }),
	}
	f := c.Flags()
	f.StringVar(&o.function, "function", "", "only this function's events")
	f.StringVar(&o.from, "from", "kafka", "kafka or audit")
	f.StringVar(&o.into, "into", "live", "live or shadow")
	f.BoolVar(&o.DryRun, "dry-run", false, "only say what would change")
	f.StringVar(&o.offsets, "offsets", "", "partitions and offsets of the function's topic, without the second offset: 0:100-200,1:50-,2")
	f.StringVar(&o.since, "since", "", "records since then: 2h, or a time in RFC 3339")
	f.StringVar(&o.until, "until", "", "records before then")
	f.StringVar(&o.afterFlag, "after", "", "with --from audit: after this decision, tenant/subject@version")
	f.StringVar(&o.group, "group", "", "consumer group of the function's trigger (default: "+platform.ConsumerGroup("<function>")+")")
	f.Float64Var(&o.Rate, "rate", 0, "events a second; 0 is as fast as it goes")
	f.BoolVar(&o.Keep, "keep", false, "leave the shadow database there")
	f.IntVar(&o.Rows, "rows", 20, "how many events or differences are named")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	return c
}

// complete checks the flags and makes a configuration of them.
func (o *replayOptions) complete(now time.Time) error {
	if err := checkFunction(o.function); err != nil {
		return err
	}
	o.Functions = slices.DeleteFunc(functions.All(), func(fn function.Definition) bool {
		return o.function != "" && fn.FunctionName() != o.function
	})
	ofKafka := o.offsets != "" || o.since != "" || o.until != "" || o.group != ""
	switch {
	case o.from != "kafka" && o.from != "audit":
		return fmt.Errorf("--from %q: want kafka or audit", o.from)
	case o.into != "live" && o.into != "shadow":
		return fmt.Errorf("--into %q: want live or shadow", o.into)
	case o.from == "audit" && ofKafka:
		return errors.New("--offsets, --since, --until and --group are of Kafka: they are not for --from audit")
	case o.from == "kafka" && o.afterFlag != "":
		return errors.New("--after is for --from audit")
	case o.Keep && o.into != "shadow":
		return errors.New("--keep is for --into shadow: without that, the events would go into the live system")
	case o.DryRun && o.into == "shadow":
		return errors.New("--dry-run delivers nothing, so it makes no shadow: leave out --dry-run or --into shadow")
	case o.function == "" && (o.offsets != "" || o.afterFlag != "" || o.group != ""):
		return errors.New("--offsets, --after and --group need a --function")
	case o.Rate < 0 || o.Rows < 1:
		return errors.New("--rate must be 0 or more, --rows 1 or more")
	}
	return o.part(now)
}

// part reads which part is replayed.
func (o *replayOptions) part(now time.Time) (err error) {
	o.FromAudit = o.from == "audit"
	if o.afterFlag != "" {
		after, err := replay.ParseDecision(o.afterFlag)
		if err != nil {
			return fmt.Errorf("--after: %w", err)
		}
		o.After = &after
	}
	if o.Kafka.Offsets, err = parseOffsets(o.offsets); err != nil {
		return fmt.Errorf("--offsets: %w", err)
	}
	if o.Kafka.Since, err = parseSince(o.since, now); err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	if o.Kafka.Until, err = parseSince(o.until, now); err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	o.Kafka.Group = platform.ConsumerGroup
	if o.group != "" {
		o.Kafka.Group = func(string) string { return o.group }
	}
	o.Limits, err = env.ParseAs[runtime.Limits]()
	return err
}

// parseOffsets reads 0:100-200,1:50-,2.
func parseOffsets(text string) (map[int32]replay.Range, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // none is all
	}
	all := map[int32]replay.Range{}
	for part := range strings.SplitSeq(text, ",") {
		p, r, err := parsePart(part)
		if err != nil {
			return nil, err
		}
		if _, twice := all[p]; twice {
			return nil, fmt.Errorf("partition %d is there twice: one replay takes one range of it", p)
		}
		all[p] = r
	}
	return all, nil
}

func parsePart(part string) (int32, replay.Range, error) {
	partition, offsets, _ := strings.Cut(part, ":")
	from, to, _ := strings.Cut(offsets, "-")
	r := replay.Range{To: -1}
	p, err := strconv.ParseUint(partition, 10, 31)
	var errFrom, errTo error
	if from != "" {
		r.From, errFrom = parseOffset(from)
	}
	if to != "" {
		r.To, errTo = parseOffset(to)
	}
	err = errors.Join(err, errFrom, errTo)
	switch {
	case err != nil:
		err = fmt.Errorf("%q is no part of a partition: write partition, partition:from- or partition:from-to", part)
	case r.To >= 0 && r.To <= r.From:
		err = fmt.Errorf("%q has no offsets: its second number, which is not taken any more, must be above the first", part)
	}
	return int32(p), r, err
}

func parseOffset(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err
}

func (a *app) replay(ctx context.Context, o replayOptions) (err error) {
	needs := []string{"DATABASE_URL"}
	if !o.FromAudit {
		needs = append(needs, "KAFKA_BROKERS")
	}
	s, err := a.stores(needs...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if o.Pool, err = s.postgres(ctx); err != nil {
		return err
	}
	o.Kafka.Cluster = records.Cluster{Brokers: s.KafkaBrokers, Security: s.Kafka}
	if o.into == "shadow" {
		o.Shadow = s.DatabaseURL
	}
	var bar *terminal.Bar
	o.Progress = func(doing string, done, total int64) {
		if bar == nil {
			bar = terminal.NewBar(a.Err, "", total)
		}
		bar.Set(min(done, total), fmt.Sprintf("%s, %d", doing, done))
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := replay.Run(ctx, o.Config)
	if bar != nil {
		bar.Clear()
	}
	if err != nil && result.Events() == 0 {
		return err // which says more than a summary of nothing
	}
	if printErr := cmp.Or(a.printReplay(&o, &result), err); printErr != nil {
		return printErr
	}
	if len(result.Rest) > 0 || result.Compared == nil && result.Changes() > 0 || result.Compared != nil && !result.Compared.Holds() {
		return errSilent
	}
	return nil
}

// printReplay says what became of the events, and how to go on.
func (a *app) printReplay(o *replayOptions, r *replay.Result) error {
	if o.json {
		return a.writeJSON(r)
	}
	for _, row := range r.Rows {
		fmt.Fprintf(a.Out, "  %s\n", row)
	}
	fmt.Fprintf(a.Out, "%s: %s.\n", several(r.Events(), "event"), o.counts(r))
	o.printCompared(a.Out, r)
	for _, rest := range r.Rest {
		if o.Shadow != "" && !o.DryRun {
			fmt.Fprintln(a.Out, "It was stopped, and nothing compared.")
			break
		}
		fmt.Fprintf(a.Out, "It was stopped. To go on: %s\n", o.command(rest))
	}
	if o.Keep && r.Shadow != "" {
		fmt.Fprintf(a.Out, "The shadow is database %s.\n", r.Shadow)
	}
	return nil
}

func (o *replayOptions) counts(r *replay.Result) string {
	count := func(n int, what string) string { return fmt.Sprint(n, " ", what) }
	var parts []string
	for _, c := range []struct {
		show bool
		text string
	}{
		{r.Applied > 0 || !o.DryRun, count(r.Applied, "applied")},
		{r.Refused > 0, count(r.Refused, "refused")},
		{r.Parked > 0, count(r.Parked, "parked")},
		{r.Dead > 0, several(r.Dead, "new dead letter")},
		{r.Unknown > 0 || o.DryRun, count(r.Unknown, "unknown")},
		{true, several(r.Duplicates, "duplicate")},
		{r.Waiting > 0, count(r.Waiting, "parked already")},
		{true, count(r.Conflicts, "in conflict")},
		{r.DeadLetters > 0, several(r.DeadLetters, "dead letter") + " already"},
		{r.Redacted > 0, count(r.Redacted, "redacted since")},
		{r.Unreadable > 0, several(r.Unreadable, "record") + " without an event"},
	} {
		if c.show {
			parts = append(parts, c.text)
		}
	}
	return strings.Join(parts, ", ")
}

func (o *replayOptions) printCompared(out io.Writer, r *replay.Result) {
	if r.Compared == nil {
		return
	}
	if !r.Compared.Holds() {
		fmt.Fprint(out, "\nBelow, \"is\" is the shadow (of millrace.audit: the live one), \"should be\" what the live audit log gives.\n")
	}
	for _, b := range r.Compared.Broken {
		fmt.Fprintf(out, "\n%s", b)
	}
	verdict := "The shadow is what the live audit log gives"
	if n := r.Compared.Differences(); n > 0 {
		verdict = several(n, "difference") + " between the shadow and what the live audit log gives"
	}
	c := r.Compared.Checked
	fmt.Fprintf(out, "%s: %s with %s.\n", verdict, several(c.Entities, "entity"), several(c.Events, "decision"))
	switch {
	case c.Behind == 1:
		fmt.Fprintln(out, "1 entity has gone further in the live database, or is only there.")
	case c.Behind > 1:
		fmt.Fprintf(out, "%d entities have gone further in the live database, or are only there.\n", c.Behind)
	}
}

// command is the command line that goes on.
func (o *replayOptions) command(rest replay.Rest) string {
	words := []string{"millrace replay", "--function", rest.Function, "--from", o.from, "--into", o.into}
	if o.DryRun {
		words = append(words, "--dry-run")
	}
	switch {
	case rest.After != nil && rest.After.TenantID != "":
		words = append(words, "--after", strconv.Quote(rest.After.String()))
	case len(rest.Offsets) > 0:
		var parts []string
		for _, p := range slices.Sorted(maps.Keys(rest.Offsets)) {
			parts = append(parts, fmt.Sprintf("%d:%d-%d", p, rest.Offsets[p].From, rest.Offsets[p].To))
		}
		words = append(words, "--offsets", strings.Join(parts, ","))
	}
	return strings.Join(words, " ")
}
