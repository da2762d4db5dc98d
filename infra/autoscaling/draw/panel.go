package draw

import (
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/millrace/millrace/infra/autoscaling"
)

// panel is one of the pictures above each other.
type panel struct {
	label  string
	value  func(autoscaling.Sample) float64
	common bool // the same for all runs
	steps  bool
	log    bool
}

var panels = []panel{
	{label: "arriving, events/s", common: true, value: func(s autoscaling.Sample) float64 { return s.Arriving }},
	{label: "pods", steps: true, value: func(s autoscaling.Sample) float64 { return float64(s.Pods) }},
	{label: "triggers", steps: true, value: func(s autoscaling.Sample) float64 { return float64(s.Triggers) }},
	{label: "backlog, events", value: func(s autoscaling.Sample) float64 { return float64(s.Backlog) }},
	{label: "p95 latency, s", log: true, value: func(s autoscaling.Sample) float64 { return s.P95.Seconds() }},
}

// lowest is what a logarithmic scale begins with.
const lowest = 0.001

func (p panel) plot(runs []Run, axis Axis) (*plot.Plot, []*plotter.Line, error) {
	drawn := plot.New()
	drawn.Y.Label.Text, drawn.Y.Tick.Marker = p.label, plain{plot.DefaultTicks{}}
	drawn.X.Tick.Marker = axis
	drawn.Add(plotter.NewGrid())
	if p.common {
		runs = runs[:1]
	}
	var lines []*plotter.Line
	for i, r := range runs {
		line, err := plotter.NewLine(p.points(r.Samples, axis))
		if err != nil {
			return nil, nil, err
		}
		line.Color = colors[i%len(colors)]
		if p.steps {
			line.StepStyle = plotter.PostStep
		}
		if p.common {
			line.Color = color.Black
		}
		drawn.Add(line)
		lines = append(lines, line)
	}
	drawn.X.Min, drawn.X.Max = 0, float64(axis.Length)/float64(axis.Unit)
	drawn.Y.Min, drawn.Y.Max = 0, max(drawn.Y.Max*1.05, 1)
	if p.log {
		drawn.Y.Scale, drawn.Y.Tick.Marker, drawn.Y.Min = plot.LogScale{}, plain{plot.LogTicks{}}, lowest
	}
	return drawn, lines, nil
}

// points leaves out what lies on a level line between its neighbours.
func (p panel) points(samples []autoscaling.Sample, axis Axis) plotter.XYs {
	var points plotter.XYs
	for i, s := range samples {
		y := p.value(s)
		if i > 0 && i+1 < len(samples) && y == p.value(samples[i-1]) && y == p.value(samples[i+1]) {
			continue
		}
		if p.log {
			y = max(y, lowest)
		}
		points = append(points, plotter.XY{X: float64(s.At) / float64(axis.Unit), Y: y})
	}
	return points
}

// plain writes numbers as people do.
type plain struct{ plot.Ticker }

func (p plain) Ticks(from, to float64) []plot.Tick {
	ticks := p.Ticker.Ticks(from, to)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = short(ticks[i].Value)
		}
	}
	return ticks
}

func short(value float64) string {
	switch {
	case value >= 1e6:
		return strconv.FormatFloat(value/1e6, 'g', 4, 64) + " M"
	case value >= 1e4:
		return strconv.FormatFloat(value/1e3, 'g', 4, 64) + " k"
	default:
		return strconv.FormatFloat(value, 'g', 4, 64)
	}
}
