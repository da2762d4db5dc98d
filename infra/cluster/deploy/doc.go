// Package deploy puts Millrace on a cluster: the test cluster, or any other that
// has Knative. It makes the images, brings them there, and applies an overlay.
//
// It may be done again at any time, and after a crash it is: images are named by
// what is in them, so that what has not changed is not started anew.
package deploy
