// Package observability holds what watches Millrace: alert rules for Prometheus
// and a dashboard for Grafana, explained in docs/operations.md. Its tests hold
// both, and that page, to what the processes really tell.
package observability
