// Package knative holds what checks the manifests without a cluster: each
// overlay is built by Kustomize, decoded strictly into Knative's and Kubernetes'
// own types, defaulted and validated by Knative's own code, and compared with
// what the code reads, with the topics, and with itself.
//
// It is a module of its own: Knative's and Kubernetes' modules weigh more than
// everything else here, and none of it belongs to what runs.
package knative
