package main

import (
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"knative.dev/networking/pkg/apis/networking/v1alpha1"
)

// portName is how the endpoints of a Service name the port that a backend means.
func portName(service *corev1.Service, backend v1alpha1.IngressBackend) string {
	for _, port := range service.Spec.Ports {
		if port.Name == backend.ServicePort.StrVal || port.Port == backend.ServicePort.IntVal {
			return port.Name
		}
	}
	return ""
}

func ready(slice *discoveryv1.EndpointSlice, name string) []string {
	var all []string
	for _, port := range slice.Ports {
		if port.Port == nil || port.Name == nil || *port.Name != name {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				all = append(all, net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*port.Port))))
			}
		}
	}
	return all
}
