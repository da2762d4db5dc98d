package kafka

import (
	"testing"

	"github.com/IBM/sarama"
)

// A record that the dead-letter topic finds too large, as one may be that came
// compressed, is cut until it fits: otherwise its partition would stop for ever.
func TestLettersTooLargeAreCut(t *testing.T) {
	t.Parallel()
	d := &deadLetters{t: &Trigger{cfg: Config{}}}
	letter := func(size int) *record {
		return &record{msg: &sarama.ConsumerMessage{Value: make([]byte, size)}, claim: &claim{topic: "t"}, fault: &fault{}}
	}
	small, large := letter(10), letter(1000)
	tooLarge := sarama.ProducerErrors{
		{Msg: d.message(small), Err: sarama.ErrMessageSizeTooLarge},
		{Msg: d.message(large), Err: sarama.ErrMessageSizeTooLarge},
	}
	for _, want := range []int{500, 250, 125} {
		if accepted, rest := split([]*record{small, large}, tooLarge); len(accepted) != 0 || len(rest) != 2 {
			t.Fatalf("%d accepted, %d to be sent again", len(accepted), len(rest))
		}
		m := d.message(large)
		if got := m.Value.Length(); got != want {
			t.Errorf("%d bytes are kept, want %d", got, want)
		}
		if last := m.Headers[len(m.Headers)-1]; string(last.Key) != "millrace-truncated" {
			t.Errorf("the last header is %s", last.Key)
		}
	}
	if got := d.message(small).Value.Length(); got != 10 {
		t.Errorf("the small one is cut to %d bytes", got)
	}
}
