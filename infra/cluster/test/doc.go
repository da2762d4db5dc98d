// Package test is nothing but this text. The tests of this module show on a real
// Kubernetes with real Knative what no simulation shows: Millrace as it is
// deployed, from zero pods.
//
//	go tool task cluster:test
//
// They take the cluster that KUBECONFIG names, else the test cluster
// (docs/cluster.md), with Millrace on it in namespace millrace. They reach it as
// its pods do, by the cluster IPs of its Services, and have the addresses of
// PostgreSQL, Redis and Kafka from Millrace's own Secret and ConfigMap.
//
// They run one after the other, as what one scales another would see. Each begins
// when nothing is on its way any more, whatever an interrupted run has left, sends
// events that nobody has sent before, and ends with every invariant checked over
// all that was ever sent to the cluster. Those that only look change nothing, and
// check no more than what they look at.
package test
