// Package draw makes pictures of runs.
package draw

import (
	"bytes"
	"image/color"
	"os"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/millrace/millrace/infra/autoscaling"
)

// Run is one run to draw, with what it is called in the legend.
type Run struct {
	Name    string
	Samples []autoscaling.Sample
}

// colors can be told apart by the colour-blind too (Okabe and Ito).
var colors = []color.Color{
	color.RGBA{R: 213, G: 94, A: 255},
	color.RGBA{G: 114, B: 178, A: 255},
	color.RGBA{G: 158, B: 115, A: 255},
	color.RGBA{R: 204, G: 121, B: 167, A: 255},
}

// Sizes of the picture.
const (
	width  = 24 * vg.Centimeter
	height = 4.2 * vg.Centimeter // of a panel
	line   = 16                  // points, of the title and of each run in the legend
)

// SVG draws pods, triggers, backlog and latency of runs over time.
func SVG(path, title string, runs []Run, axis Axis) error {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	grid := make([][]*plot.Plot, len(panels))
	legend := plot.NewLegend()
	legend.Top, legend.Left, legend.ThumbnailWidth = true, true, vg.Points(24)
	legend.Padding = vg.Points(1)
	for i, p := range panels {
		drawn, lines, err := p.plot(runs, axis)
		if err != nil {
			return err
		}
		grid[i] = []*plot.Plot{drawn}
		if i == len(panels)-1 {
			drawn.X.Label.Text = "time, " + axis.Name
			for j, l := range lines {
				legend.Add(runs[j].Name, l)
			}
		}
	}
	head := vg.Points(line * float64(len(runs)+2))
	canvas := vgsvg.New(width, height*vg.Length(len(grid))+head)
	whole := vgdraw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	plate := vgdraw.Crop(whole, vg.Points(12), -vg.Points(12), 0, -vg.Points(6))
	style := grid[0][0].Title.TextStyle
	style.Font.Size = 14
	style.XAlign, style.YAlign = vgdraw.XLeft, vgdraw.YTop
	plate.FillText(style, vg.Point{X: plate.Min.X, Y: plate.Max.Y}, title)
	legend.Draw(vgdraw.Crop(plate, 0, 0, 0, -vg.Points(line*1.4)))
	tiles := vgdraw.Tiles{Rows: len(grid), Cols: 1, PadY: vg.Points(8)}
	for i, row := range plot.Align(grid, tiles, vgdraw.Crop(plate, 0, 0, vg.Points(6), -head)) {
		grid[i][0].Draw(row[0])
	}
	return write(path, canvas)
}

// write names a family of fonts that any machine has one of.
func write(path string, canvas *vgsvg.Canvas) error {
	var text bytes.Buffer
	if _, err := canvas.WriteTo(&text); err != nil {
		return err
	}
	svg := bytes.ReplaceAll(text.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,sans-serif;"))
	return os.WriteFile(path, svg, 0o644)
}

// Axis is time as the picture has it.
type Axis struct {
	Unit, Length time.Duration
	Step         int // units from one mark to the next
	Name         string
}

// Ticks are those of the time's axis.
func (a Axis) Ticks(_, _ float64) []plot.Tick {
	var ticks []plot.Tick
	for at := 0; at <= int(a.Length/a.Unit); at += a.Step {
		ticks = append(ticks, plot.Tick{Value: float64(at), Label: short(float64(at))})
	}
	return ticks
}
