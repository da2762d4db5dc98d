package test_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// curve is one line of a picture, in one colour.
type curve struct {
	name, color string
	at          func(before, p picture) float64
}

// panels lie above each other, with one axis of time. The colours can be told apart
// by the colour-blind too (Okabe and Ito).
var panels = []struct {
	label  string
	curves []curve
}{
	{"events/s", []curve{
		{"sent", "#000000", func(b, p picture) float64 { return float64(p.sent-b.sent) / (p.at - b.at).Seconds() }},
		{"done (trades make more)", "#0072b2", func(b, p picture) float64 { return float64(p.done-b.done) / (p.at - b.at).Seconds() }},
	}},
	{"pods", []curve{
		{"of all six functions", "#d55e00", func(_, p picture) float64 { return float64(p.pods) }},
		{"of the busiest", "#cc79a7", func(_, p picture) float64 { return float64(p.most) }},
	}},
	{"backlog", []curve{{"records in Kafka", "#009e73", func(_, p picture) float64 { return float64(p.left) }}}},
}

// Sizes, in pixels.
const (
	width, height = 720, 130 // of a panel
	left, above   = 60, 34
)

// draw writes the pictures as curves over time.
func draw(t *testing.T, file string, pictures []picture, rate float64) {
	t.Helper()
	var svg strings.Builder
	whole := above + len(panels)*(height+above)
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="Arial,sans-serif" font-size="12">`+"\n", left+width+20, whole)
	fmt.Fprintf(&svg, `<rect width="100%%" height="100%%" fill="white"/><text x="8" y="18" font-size="14">%.0f events a second for %s, from zero pods</text>`+"\n", rate, spikeFor)
	length := pictures[len(pictures)-1].at
	for n, p := range panels {
		fmt.Fprintf(&svg, `<g transform="translate(%d %d)">`+"\n", left, above*2+n*(height+above))
		drawPanel(&svg, p.label, p.curves, pictures, length)
		svg.WriteString("</g>\n")
	}
	svg.WriteString("</svg>\n")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(svg.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("drawn: %s", file)
}

func drawPanel(svg *strings.Builder, label string, curves []curve, pictures []picture, length time.Duration) {
	top := 1.0
	for _, c := range curves {
		for n := 1; n < len(pictures); n++ {
			top = max(top, c.at(pictures[n-1], pictures[n]))
		}
	}
	fmt.Fprintf(svg, `<path d="M0 0V%[1]dH%[2]d" fill="none" stroke="#888"/><text x="-6" y="10" text-anchor="end">%.0[3]f</text><text x="-6" y="%[1]d" text-anchor="end">0</text>`+"\n", height, width, top)
	for at := time.Duration(0); at <= length; at += 20 * time.Second {
		fmt.Fprintf(svg, `<text x="%.0f" y="%d" text-anchor="middle" fill="#666">%.0f s</text>`+"\n", at.Seconds()/length.Seconds()*width, height+14, at.Seconds())
	}
	fmt.Fprintf(svg, `<text x="0" y="-6">%s:`, label)
	for _, c := range curves {
		fmt.Fprintf(svg, `<tspan dx="8" fill="%s">%s</tspan>`, c.color, c.name)
	}
	svg.WriteString("</text>\n")
	for _, c := range curves {
		fmt.Fprintf(svg, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, c.color)
		for n := 1; n < len(pictures); n++ {
			fmt.Fprintf(svg, "%.0f,%.0f ", pictures[n].at.Seconds()/length.Seconds()*width, height-c.at(pictures[n-1], pictures[n])/top*height)
		}
		svg.WriteString(`"/>` + "\n")
	}
}
