// Package knative puts Knative Serving and Eventing on the test cluster: from the
// YAML in their modules, with images made of the programs that are built here, and
// with a stand-in for the networking layer.
//
// All of it is applied server-side, so it may be done again at any time, and after
// a crash it is.
package knative
