package autoscaling

import "time"

// database is PostgreSQL, shared by all pods: as many transactions as it has
// cores go at full speed, more of them share the cores.
type database struct {
	clock  *clock
	cores  float64
	active int
	used   time.Duration // CPU time
}

// use takes CPU time and calls done. How fast it goes is settled at the start:
// what starts or ends meanwhile evens out.
func (d *database) use(cpu time.Duration, done func()) {
	d.active++
	d.used += cpu
	slower := max(1, float64(d.active)/d.cores)
	d.clock.after(time.Duration(float64(cpu)*slower), func() {
		d.active--
		done()
	})
}
