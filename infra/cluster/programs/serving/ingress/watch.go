package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/networking/pkg/apis/networking/v1alpha1"
	clientset "knative.dev/networking/pkg/client/clientset/versioned"
	networkinginformers "knative.dev/networking/pkg/client/informers/externalversions"
	listers "knative.dev/networking/pkg/client/listers/networking/v1alpha1"
)

// class is what config-network names, and KIngresses that are ours carry.
const class = "millrace-test.ingress.networking.knative.dev"

// resync is how soon what could not be told to the API server is told again.
const resync = 20 * time.Second

// cluster is what is known of the cluster, kept up to date.
type cluster struct {
	client    clientset.Interface
	ingresses listers.IngressLister
	services  cache.Indexer
	slices    cache.Indexer // by service
	routes    atomic.Pointer[routes]
}

const byService = "service"

// watch returns when all is known once.
func watch(ctx context.Context) (*cluster, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	client, err := clientset.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	coreInformers := informers.NewSharedInformerFactory(core, 0)
	ours := networkinginformers.NewSharedInformerFactory(client, resync)

	slicesInformer := coreInformers.Discovery().V1().EndpointSlices().Informer()
	if err := slicesInformer.AddIndexers(cache.Indexers{byService: serviceOf}); err != nil {
		return nil, err
	}
	c := &cluster{
		client:    client,
		ingresses: ours.Networking().V1alpha1().Ingresses().Lister(),
		services:  coreInformers.Core().V1().Services().Informer().GetIndexer(),
		slices:    slicesInformer.GetIndexer(),
	}
	c.routes.Store(&routes{})
	_, err = ours.Networking().V1alpha1().Ingresses().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { c.changed(ctx, object) },
		UpdateFunc: func(_, object any) { c.changed(ctx, object) },
		DeleteFunc: func(any) { c.rebuild() },
	})
	if err != nil {
		return nil, err
	}
	coreInformers.Start(ctx.Done())
	coreInformers.WaitForCacheSync(ctx.Done())
	ours.Start(ctx.Done())
	ours.WaitForCacheSync(ctx.Done())
	return c, ctx.Err()
}

func serviceOf(object any) ([]string, error) {
	slice, _ := object.(*discoveryv1.EndpointSlice)
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}

// changed routes first and says so then: who sees a KIngress ready may rely on it.
func (c *cluster) changed(ctx context.Context, object any) {
	c.rebuild()
	ingress, _ := object.(*v1alpha1.Ingress)
	if ingress.Annotations[networking.IngressClassAnnotationKey] != class || ingress.IsReady() {
		return
	}
	if err := c.markReady(ctx, ingress.DeepCopy()); err != nil {
		slog.Warn("marking ready, to be tried again", "ingress", ingress.Name, "error", err)
	}
}

func (c *cluster) markReady(ctx context.Context, ingress *v1alpha1.Ingress) error {
	at := func(name string) []v1alpha1.LoadBalancerIngressStatus {
		domain := name + "." + os.Getenv("NAMESPACE") + ".svc.cluster.local"
		return []v1alpha1.LoadBalancerIngressStatus{{DomainInternal: domain}}
	}
	ingress.Status.InitializeConditions()
	ingress.Status.MarkNetworkConfigured()
	ingress.Status.MarkLoadBalancerReady(at("external"), at("internal"))
	ingress.Status.ObservedGeneration = ingress.Generation
	_, err := c.client.NetworkingV1alpha1().Ingresses(ingress.Namespace).UpdateStatus(ctx, ingress, metav1.UpdateOptions{})
	return err
}

// addresses are those of the pods behind a Service's port that take requests.
func (c *cluster) addresses(backend v1alpha1.IngressBackend) []string {
	key := backend.ServiceNamespace + "/" + backend.ServiceName
	object, found, err := c.services.GetByKey(key)
	if err != nil || !found {
		return nil
	}
	service, _ := object.(*corev1.Service)
	port := portName(service, backend)
	slicesFound, err := c.slices.ByIndex(byService, key)
	if err != nil {
		return nil
	}
	var all []string
	for _, slice := range slicesFound {
		if slice, ok := slice.(*discoveryv1.EndpointSlice); ok {
			all = append(all, ready(slice, port)...)
		}
	}
	slices.Sort(all) // two slices may name one pod for a moment
	return slices.Compact(all)
}
