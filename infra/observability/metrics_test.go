package observability

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// metrics are the series that the processes tell, by the name that a query
// uses.
type metrics map[string]series

// told is what one process tells.
type told map[string]*dto.MetricFamily

// metricsOf returns what queries find when Prometheus asks the processes and
// minds the rules.
func metricsOf(processes map[string]told, alerts []rule) metrics {
	m := metrics{"ALERTS": series{}}
	for _, r := range alerts {
		m["ALERTS"].add("alertname", r.Alert)
		m["ALERTS"].add("alertstate", "firing")
	}
	for job, families := range processes {
		m.add(families, job, "host:8080")
	}
	return m
}

// series are the values that each label of a metric has.
type series map[string]map[string]bool

func (s series) add(label, value string) {
	if s[label] == nil {
		s[label] = map[string]bool{}
	}
	s[label][value] = true
}

// has reports whether a label has a value that the pattern matches.
func (s series) has(label, pattern string) bool {
	matches := regexp.MustCompile("^(?:" + pattern + ")$").MatchString
	return slices.ContainsFunc(slices.Collect(maps.Keys(s[label])), matches)
}

func (s series) labels() []string { return slices.Collect(maps.Keys(s)) }

// add adds what a process told, with the labels that Prometheus adds.
func (m metrics) add(families told, job, instance string) {
	for _, family := range families {
		for _, name := range names(family) {
			if m[name] == nil {
				m[name] = series{}
			}
			m[name].add("job", job)
			m[name].add("instance", instance)
			if strings.HasSuffix(name, "_bucket") {
				m[name].add("le", "+Inf")
			}
			for _, metric := range family.GetMetric() {
				for _, label := range metric.GetLabel() {
					m[name].add(label.GetName(), label.GetValue())
				}
			}
		}
	}
}

func names(f *dto.MetricFamily) []string {
	if f.GetType() == dto.MetricType_HISTOGRAM {
		return []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
	}
	return []string{f.GetName()}
}
