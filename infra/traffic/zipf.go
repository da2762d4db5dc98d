package traffic

import (
	"math"
	"math/rand/v2"
	"slices"
)

// choice picks numbers from 0 on by their weights. math/rand's Zipf wants an
// exponent above 1, which real skew is not.
type choice []float64 // sums of the weights up to each

func weighted(weights ...float64) choice {
	c := make(choice, len(weights))
	sum := 0.0
	for n, w := range weights {
		sum += w
		c[n] = sum
	}
	return c
}

func zipf(n int, exponent float64) choice {
	weights := make([]float64, n)
	for k := range weights {
		weights[k] = math.Pow(float64(k+1), -exponent)
	}
	return weighted(weights...)
}

func (c choice) pick(r *rand.Rand) int {
	at := r.Float64() * c[len(c)-1]
	n, exact := slices.BinarySearch(c, at)
	if exact {
		n++ // a weight ends before its sum
	}
	return min(n, len(c)-1)
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
