package test_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// dial resolves the names of Services as the cluster's DNS does.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	address, err := w.resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// resolve leaves alone what is no Service's name.
func (w *world) resolve(ctx context.Context, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	name, rest, _ := strings.Cut(host, ".")
	in, _, _ := strings.Cut(rest, ".")
	service, err := w.kube.CoreV1().Services(cmp.Or(in, namespace)).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return address, nil
	case err != nil:
		return "", fmt.Errorf("resolving %s: %w", host, err)
	case service.Spec.ExternalName != "": // a Knative Service's leads to the gateway
		return w.resolve(ctx, net.JoinHostPort(service.Spec.ExternalName, port))
	}
	if len(service.Spec.Selector) == 0 {
		return w.outside(ctx, service)
	}
	return net.JoinHostPort(service.Spec.ClusterIP, port), nil
}

// outside is where a Service without pods leads, such as a store's on the node. To
// go there directly keeps the address that one is known by.
func (w *world) outside(ctx context.Context, service *corev1.Service) (string, error) {
	list, err := w.kube.DiscoveryV1().EndpointSlices(service.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + service.Name,
	})
	if err != nil {
		return "", err
	}
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			return net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*slice.Ports[0].Port))), nil
		}
	}
	return "", fmt.Errorf("Service %s leads nowhere", service.Name)
}

// reach is a URL with an address that is reached from here.
func (w *world) reach(ctx context.Context, text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	if net.ParseIP(u.Hostname()) == nil {
		u.Host, err = w.resolve(ctx, u.Host)
	}
	return u.String(), err
}

func (w *world) reachAll(ctx context.Context, list string) (string, error) {
	all := splitList(list)
	for i, address := range all {
		host, _, err := net.SplitHostPort(address)
		if err == nil && net.ParseIP(host) == nil {
			all[i], err = w.resolve(ctx, address)
		}
		if err != nil {
			return "", err
		}
	}
	return strings.Join(all, ","), nil
}

func splitList(list string) []string { return strings.Split(list, ",") }
