// Package autoscaling runs a function of the platform in virtual time, under
// Knative's own autoscaler, to compare its settings: docs/autoscaling.md.
//
// What is Knative's own code: the autoscaler (pkg/autoscaler/scaling), the
// collector with its windows (pkg/autoscaler/metrics), and what makes a decider
// and a metric of annotations and defaults. What is modelled here after its
// source: the scraping, once a second; the ticks, every two seconds and at once
// for the first request at zero pods; and the rules of the last pod.
//
// The traffic goes the real way: partitions of a topic, triggers that share them
// and post batches with a few requests in flight and one for each key, pods with
// a few transactions at once, and one PostgreSQL for all of them. The number of
// triggers is fixed, or decided by KEDA's and the HPA's rules.
//
// A run is deterministic: the same settings, traffic and seed give the same
// result.
package autoscaling
