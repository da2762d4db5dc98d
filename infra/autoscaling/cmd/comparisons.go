package main

import (
	"fmt"
	"time"

	"github.com/millrace/millrace/infra/autoscaling"
	"github.com/millrace/millrace/infra/autoscaling/draw"
)

// comparison is several settings under one traffic.
type comparison struct {
	name    string
	traffic autoscaling.Traffic
	rows    []row
}

type row struct {
	settings autoscaling.Settings
	model    func(*autoscaling.Model) // changes it, if there is one
	drawn    bool
}

func (c comparison) axis() draw.Axis {
	if c.traffic.Length > 2*time.Hour {
		return draw.Axis{Unit: time.Hour, Length: c.traffic.Length, Step: 2, Name: "hours"}
	}
	return draw.Axis{Unit: time.Minute, Length: c.traffic.Length, Step: 1, Name: "minutes"}
}

// lag is KEDA for triggers of which one is always there, and ten at once.
var lag = autoscaling.Keda{LagThreshold: 5000, Polling: 5, Cooldown: 300, Min: 1, Max: 10, Stabilization: 300, Up: 10}

func comparisons(manifest autoscaling.Settings) []comparison {
	return []comparison{
		{"spike", autoscaling.Spike(), spike(manifest)},
		{"ceiling", autoscaling.Spike(), ceiling(manifest)},
		{"knobs-spike", autoscaling.Spike(), knobs(manifest)},
		{"sawtooth", autoscaling.Sawtooth(), sawtooth(manifest)},
		{"knobs-sawtooth", autoscaling.Sawtooth(), knobs(manifest)},
		{"hot", autoscaling.HotKey(), hot(manifest)},
		{"tenant", autoscaling.HotTenant(), hot(manifest)},
		{"market", autoscaling.MarketDay(), day(manifest)},
		{"calls", autoscaling.CallDay(), day(manifest)},
	}
}

// spike shows who bounds the number of pods: triggers and target together.
func spike(base autoscaling.Settings) []row {
	to := func(target, how string) autoscaling.Settings {
		return base.With("target "+target+", "+how, "target", target)
	}
	var rows []row
	for _, n := range []int{1, 4, 10} {
		for _, target := range []string{"4", "2", "1"} {
			rows = append(rows, row{settings: to(target, count(n)).Triggered(n), drawn: n == 1 && target == "4" || n == 4 && target == "2"})
		}
	}
	for _, target := range []string{"4", "2", "1"} {
		rows = append(rows, row{settings: to(target, "KEDA 5000").Lagged(lag), drawn: target == "2"})
	}
	slow, thousand := lag, lag
	slow.Up, thousand.LagThreshold = 0, 1000
	return append(rows,
		row{settings: to("2", "KEDA 1000").Lagged(thousand)},
		row{settings: to("2", "KEDA 5000, four at a time").Lagged(slow)},
		row{settings: to("2", "1 trigger, MAX_IN_FLIGHT 16").Flying(16)})
}

func count(triggers int) string {
	if triggers == 1 {
		return "1 trigger"
	}
	return fmt.Sprintf("%d triggers", triggers)
}

// ceiling shows what PostgreSQL bounds.
func ceiling(base autoscaling.Settings) []row {
	var rows []row
	for _, c := range []struct {
		cores float64
		most  string
	}{{2, "5"}, {2, "10"}, {4, "5"}, {4, "10"}, {8, "5"}, {8, "10"}, {8, "20"}, {16, "10"}, {16, "20"}} {
		name := fmt.Sprintf("%.0f cores, max-scale %s", c.cores, c.most)
		rows = append(rows, row{
			settings: base.With(name, "max-scale", c.most).Triggered(10),
			model:    func(m *autoscaling.Model) { m.Cores = c.cores },
		})
	}
	return rows
}

// knobs changes one setting after the other.
func knobs(manifest autoscaling.Settings) []row {
	base := manifest.Triggered(4).Named("the manifests, 4 triggers")
	bare := autoscaling.Settings{Name: "Knative's defaults", Triggers: 4}
	rows := []row{{settings: base}}
	for _, s := range []autoscaling.Settings{
		base.With("target 4", "target", "4"),
		base.With("target 2", "target", "2"),
		base.With("target 1", "target", "1"),
		base.With("metric rps, target 20", "metric", "rps", "target", "20"),
		base.With("metric rps, target 100", "metric", "rps", "target", "100"),
		base.With("containerConcurrency 2").Limited(2),
		base.With("the same, burst capacity -1", "target-burst-capacity", "-1").Limited(2),
		base.With("burst capacity 211", "target-burst-capacity", "211"),
		base.With("window 30s", "window", "30s"),
		base.With("window 120s", "window", "120s"),
		base.With("panic window 5%", "panic-window-percentage", "5"),
		base.With("panic window 20%", "panic-window-percentage", "20"),
		base.With("panic threshold 110%", "panic-threshold-percentage", "110"),
		base.With("panic threshold 400%", "panic-threshold-percentage", "400"),
		base.With("panic threshold 1000%", "panic-threshold-percentage", "1000"),
		base.With("scale-down delay 30s", "scale-down-delay", "30s"),
		base.With("scale-down delay 2m", "scale-down-delay", "2m"),
		base.With("activation scale 4", "activation-scale", "4"),
		base.With("max-scale 5", "max-scale", "5"),
		base.With("max-scale 20", "max-scale", "20"),
		bare,
	} {
		rows = append(rows, row{settings: s})
	}
	return rows
}

func sawtooth(base autoscaling.Settings) []row {
	rows := []row{
		{settings: base.With("target 4, 1 trigger", "target", "4"), drawn: true},
		{settings: base.Named("the manifests, 1 trigger")},
		{settings: base.Triggered(4).Named("the manifests, 4 triggers"), drawn: true},
	}
	for _, threshold := range []int{500, 1000, 5000, 20000} {
		k := lag
		k.LagThreshold = threshold
		rows = append(rows, row{settings: base.Lagged(k).Named(fmt.Sprintf("the manifests, KEDA %d", threshold)), drawn: threshold == lag.LagThreshold})
	}
	return rows
}

// hot shows that what has one key goes one way, and what has many keys and one
// tenant goes all ways, before others.
func hot(base autoscaling.Settings) []row {
	rows := []row{{settings: base.With("target 4, 1 trigger", "target", "4"), drawn: true}}
	for _, n := range []int{1, 4, 10} {
		rows = append(rows, row{settings: base.Triggered(n).Named("the manifests, " + count(n)), drawn: n != 4})
	}
	return append(rows, row{settings: base.Lagged(lag).Named("the manifests, KEDA 5000")})
}

// day is about zero: what the last pod and the last trigger cost and spare.
func day(manifest autoscaling.Settings) []row {
	base := manifest.Named("the manifests, 1 trigger")
	asleep := func(polling, cooldown int) autoscaling.Settings {
		k := lag
		k.Min, k.Polling, k.Cooldown = 0, polling, cooldown
		return base.Lagged(k).Named(fmt.Sprintf("KEDA from zero, polls %d s, cools %d s", polling, cooldown))
	}
	return []row{
		{settings: base, drawn: true},
		{settings: base.With("target 4", "target", "4")},
		{settings: base.With("window 30s", "window", "30s")},
		{settings: base.With("retention 0s", "scale-to-zero-pod-retention-period", "0s")},
		{settings: base.With("retention 5m", "scale-to-zero-pod-retention-period", "5m")},
		{settings: base.With("retention 15m", "scale-to-zero-pod-retention-period", "15m")},
		{settings: base.With("min-scale 1", "min-scale", "1"), drawn: true},
		{settings: asleep(30, 300)},
		{settings: asleep(5, 300)},
		{settings: asleep(5, 60)},
	}
}
