package terminal

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPlainLinesSayWhatTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := New(&out)
		quick := r.Begin("something quick")
		quick()
		slow := r.Begin("downloading")
		time.Sleep(7*time.Second + time.Millisecond) // by the clock of the bubble: no time passes
		r.Note("news")
		slow()
		want := "  ... downloading\n  ... downloading (2s)\n  ... downloading (4s)\n  news\n"
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
	})
}

func TestSpinnerGivesWayToNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := New(&out)
		r.fancy = true
		done := r.Begin("building")
		time.Sleep(time.Second) // as above
		r.Note("news")
		done()
		if got := out.String(); !strings.Contains(got, "building") || !strings.Contains(got, "  news\n") {
			t.Errorf("%q", got)
		}
	})
}

func TestLineIsOneShortLine(t *testing.T) {
	t.Parallel()
	if got := Line("two\nlines, \x1b[2J and ü\xff"); got != "two lines,  [2J and ü\uFFFD" {
		t.Errorf("%q", got)
	}
	if got := Line(strings.Repeat("ü", MaxText+1)); got != strings.Repeat("ü", MaxText-3)+"..." {
		t.Errorf("%q", got)
	}
}
