package autoscaling

import (
	"math"
	"math/rand/v2"
	"time"
)

// Traffic is events a second over time, for one function.
type Traffic struct {
	Name, Title string
	// Rate is of all events but those of the hot key, which are Hot, and of the
	// hot tenant, which are Flood: of as many entities.
	Rate, Hot, Flood func(at time.Duration) float64
	// Ends is when the last event came; Length is how long is looked on.
	Ends, Length time.Duration
	// Sample is the distance of the points that are drawn.
	Sample time.Duration
}

func none(time.Duration) float64 { return 0 }

// Spike is nothing, then within ten seconds 50,000 a second for two minutes.
func Spike() Traffic {
	const from, up, hold = 30 * time.Second, 10 * time.Second, 2 * time.Minute
	return Traffic{Name: "spike", Title: "0 to 50,000 events/s in ten seconds", Hot: none, Flood: none,
		Rate: func(at time.Duration) float64 {
			if at < from || at >= from+up+hold {
				return 0
			}
			return 50000 * min(1, (at-from).Seconds()/up.Seconds())
		},
		Ends: from + up + hold, Length: 16 * time.Minute, Sample: 3 * time.Second}
}

// Sawtooth rises to 15,000 a second within a minute, falls to a hundredth for
// half a minute, and so six times.
func Sawtooth() Traffic {
	const tooth, rise, teeth = 90 * time.Second, 60 * time.Second, 6
	return Traffic{Name: "sawtooth", Title: "a sawtooth to 15,000 events/s", Hot: none, Flood: none,
		Rate: func(at time.Duration) float64 {
			if at >= teeth*tooth {
				return 0
			}
			if at %= tooth; at < rise {
				return 150 + 14850*at.Seconds()/rise.Seconds()
			}
			return 150
		},
		Ends: teeth * tooth, Length: 15 * time.Minute, Sample: 3 * time.Second}
}

// HotKey is 3,000 a second of many tenants, and for five minutes as many and
// more about one entity of one tenant.
func HotKey() Traffic {
	t := beside(3000, 6000)
	t.Name, t.Title = "hot", "one hot key of 6,000 events/s beside 3,000/s"
	t.Hot, t.Flood = t.Flood, none
	return t
}

// HotTenant is 3,000 a second of many tenants, and for five minutes 50,000 of one
// tenant, about as many entities.
func HotTenant() Traffic {
	t := beside(3000, 50000)
	t.Name, t.Title = "tenant", "one hot tenant of 50,000 events/s beside 3,000/s"
	return t
}

// beside is a rate, and for five minutes a flood beside it.
func beside(rate, flood float64) Traffic {
	const from, until, end = 2 * time.Minute, 7 * time.Minute, 12 * time.Minute
	return Traffic{
		Rate: func(at time.Duration) float64 {
			if at >= end {
				return 0
			}
			return rate
		},
		Flood: func(at time.Duration) float64 {
			if at < from || at >= until {
				return 0
			}
			return flood
		},
		Hot: none, Ends: end, Length: 16 * time.Minute, Sample: 3 * time.Second}
}

// MarketDay is a million trades: from 8:00 to 16:30 high at both ends, with a
// rush of 2,000 a second in the first ten seconds, and one in ten minutes else.
func MarketDay() Traffic {
	const opens, closes = 8 * time.Hour, 16*time.Hour + 30*time.Minute
	return Traffic{Name: "market", Title: "a market day of a million trades", Hot: none, Flood: none,
		Rate: func(at time.Duration) float64 {
			switch {
			case at < opens || at >= closes:
				return 1.0 / 600
			case at < opens+10*time.Second:
				return 2000
			}
			middle := 2*float64(at-opens)/float64(closes-opens) - 1 // -1 to 1
			return 14 + 55*middle*middle
		},
		Ends: 24 * time.Hour, Length: 24 * time.Hour, Sample: 5 * time.Minute}
}

// CallDay is two million events of a contact centre: from 7:00 to 22:00 with a
// hump before and one after noon, and one event in two minutes at night.
func CallDay() Traffic {
	const opens, closes = 7.0, 22.0
	hump := func(hour, top, width float64) float64 { return math.Exp(-(hour - top) * (hour - top) / width / width) }
	return Traffic{Name: "calls", Title: "a contact centre's day of two million events", Hot: none, Flood: none,
		Rate: func(at time.Duration) float64 {
			hour := at.Hours()
			if hour < opens || hour >= closes {
				return 1.0 / 120
			}
			return 75 * (hump(hour, 10.5, 2.2) + 0.8*hump(hour, 15.5, 3))
		},
		Ends: 24 * time.Hour, Length: 24 * time.Hour, Sample: 5 * time.Minute}
}

// poisson draws a number of events; above fifty the normal distribution is near
// enough.
func poisson(random *rand.Rand, mean float64) int {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*random.NormFloat64())))
	}
	n, p := 0, random.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= random.Float64()
	}
	return n
}
