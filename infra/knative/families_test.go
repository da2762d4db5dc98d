package knative

import (
	"fmt"
	"slices"
	"strings"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/millrace/millrace/infra/topics"
)

// checkFamilies holds the manifests to the list of topics: each family has one
// function, of its own image, and one way from its topic to it.
func checkFamilies(m manifests) (errs []error) {
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, family := range topics.Functions() {
		service, ok := find[*servingv1.Service](m, family)
		if !ok {
			fault("there is no Service %s", family)
			continue
		}
		if image := service.Spec.Template.Spec.Containers[0].Image; !strings.Contains(image, "/"+family+":") && !strings.Contains(image, "/"+family+"@") {
			fault("Service %s runs image %s", family, image)
		}
		for _, wrong := range faultsOfWays(m, family) {
			fault("%s: %s", family, wrong)
		}
	}
	for _, w := range ways(m) {
		for _, topic := range w.topics {
			if !slices.Contains(eventTopics(), topic) {
				fault("%s: there is no topic %s", w.name, topic)
			}
		}
	}
	return errs
}

func eventTopics() (names []string) {
	for _, family := range topics.Functions() {
		names = append(names, topics.Events(family))
	}
	return names
}

func faultsOfWays(m manifests, family string) (faults []string) {
	found := 0
	for _, w := range ways(m) {
		if !slices.Contains(w.topics, topics.Events(family)) {
			continue
		}
		found++
		if !strings.HasPrefix(w.sink, "http://"+family+".") {
			faults = append(faults, fmt.Sprintf("%s posts its topic to %s", w.name, w.sink))
		}
		if w.deadLetters != "" && w.deadLetters != topics.DeadLetters(family) {
			faults = append(faults, fmt.Sprintf("%s puts dead letters into %s", w.name, w.deadLetters))
		}
	}
	if found != 1 {
		faults = append(faults, fmt.Sprintf("%d ways lead from its topic to it, want one", found))
	}
	return faults
}

// checkHandOver holds two overlays to one consumer group for each topic, and to
// different ones for different topics.
func checkHandOver(a, b manifests) (errs []error) {
	owner := map[string]string{}
	for _, w := range ways(a) {
		for _, other := range ways(b) {
			if slices.Equal(w.topics, other.topics) && w.group != other.group {
				errs = append(errs, fmt.Errorf("%s is in group %s, %s in %s", w.name, w.group, other.name, other.group))
			}
		}
		if first, taken := owner[w.group]; taken {
			errs = append(errs, fmt.Errorf("%s and %s share group %s", first, w.name, w.group))
		}
		owner[w.group] = w.name
	}
	return errs
}
