// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
)

var (
	jobsResource       = batchv1.SchemeGroupVersion.WithResource("jobs")
	namespacesResource = corev1.SchemeGroupVersion.WithResource("namespaces")
)

// indexByDelivery finds Jobs by the Notification and the channel that they are for.
const indexByDelivery = "delivery"

// jobs follows the Jobs that Tocsin made, in the namespaces where there are any: their metadata alone, which is enough to
// know that one has changed. It watches namespace by namespace, as the right to do so may be given in some of them only.
type jobs struct {
	client metadata.Interface
	gate   *gate

	mu      sync.Mutex
	life    context.Context // of the controller: watches begin later, and last as long
	queue   workqueue.TypedRateLimitingInterface[deliveryRequest]
	watches map[string]*jobWatch
}

type jobWatch struct {
	informer toolscache.SharedIndexInformer
	stop     context.CancelFunc
}

// start is a source of the delivery controller.
func (j *jobs) start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[deliveryRequest]) error {
	j.mu.Lock()
	j.life, j.queue = ctx, queue
	j.mu.Unlock()
	go j.sweep(ctx)
	return nil
}

// wake has a delivery looked at.
func (j *jobs) wake(d deliveryRequest) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.queue != nil {
		j.queue.Add(d)
	}
}

// sweep looks once for Jobs of earlier runs, so that those whose Notification is gone meanwhile can go, too.
func (j *jobs) sweep(ctx context.Context) {
	log := ctrl.LoggerFrom(ctx).WithName("jobs")
	namespaces, err := j.withJobs(ctx, metav1.NamespaceAll)
	if apierrors.IsForbidden(err) {
		namespaces, err = j.withJobsEach(ctx)
	}
	if err != nil && ctx.Err() == nil {
		log.Error(err, "Jobs of earlier runs not found")
	}
	for _, namespace := range namespaces {
		// A manager whose cache is confined to some namespaces leaves the Jobs of others alone.
		var known v1alpha1.NotificationList
		if j.gate.log.List(ctx, &known, client.InNamespace(namespace), client.Limit(1)) == nil {
			j.ensure(namespace)
		}
	}
}

// withJobs are the namespaces that hold Jobs of Tocsin.
func (j *jobs) withJobs(ctx context.Context, namespace string) ([]string, error) {
	list, err := j.client.Resource(jobsResource).Namespace(namespace).List(ctx,
		metav1.ListOptions{LabelSelector: execjob.LabelNotification})
	if err != nil {
		return nil, fmt.Errorf("listing Jobs: %w", err)
	}
	var namespaces []string
	for i := range list.Items {
		namespaces = append(namespaces, list.Items[i].Namespace)
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces), nil
}

// withJobsEach asks in each namespace; where Jobs may not be listed, there are none of Tocsin's.
func (j *jobs) withJobsEach(ctx context.Context) ([]string, error) {
	all, err := j.client.Resource(namespacesResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	var found []string
	var failures []error
	for i := range all.Items {
		these, err := j.withJobs(ctx, all.Items[i].Name)
		if err != nil && !apierrors.IsForbidden(err) {
			failures = append(failures, err)
		}
		found = append(found, these...)
	}
	return found, errors.Join(failures...)
}

// ensure sees to it that the Jobs of a namespace are watched.
func (j *jobs) ensure(namespace string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.life == nil || j.watches[namespace] != nil {
		return
	}
	log := ctrl.LoggerFrom(j.life).WithName("jobs").WithValues("namespace", namespace)
	informer := metadatainformer.NewFilteredMetadataInformer(j.client, jobsResource, namespace, 0,
		toolscache.Indexers{indexByDelivery: deliveryOf},
		func(o *metav1.ListOptions) { o.LabelSelector = execjob.LabelNotification }).Informer()
	ctx, stop := context.WithCancel(j.life)
	err := errors.Join(
		informer.SetTransform(withoutManagedFields),
		informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *toolscache.Reflector, err error) {
			log.V(1).Info("Jobs are not watched; it will be tried again", "cause", err.Error())
		}))
	if err == nil {
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    j.changed,
			UpdateFunc: func(_, o any) { j.changed(o) },
			DeleteFunc: func(o any) {
				j.changed(o)
				j.release(namespace)
			},
		})
	}
	if err != nil { // that is so only of one that runs already
		stop()
		log.Error(err, "Jobs cannot be watched")
		return
	}
	j.watches[namespace] = &jobWatch{informer, stop}
	go informer.RunWithContext(ctx)
}

// release stops the watch of a namespace that has no Jobs and awaits none.
func (j *jobs) release(namespace string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if w := j.watches[namespace]; w != nil && len(w.informer.GetStore().ListKeys()) == 0 && j.gate.quiet(namespace) {
		w.stop()
		delete(j.watches, namespace)
	}
}

func (j *jobs) changed(o any) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	if job, ok := o.(*metav1.PartialObjectMetadata); ok {
		j.wake(requestOf(job))
	}
}

// requestOf is the delivery that a Job is for.
func requestOf(job *metav1.PartialObjectMetadata) deliveryRequest {
	return deliveryRequest{
		types.NamespacedName{Namespace: job.Namespace, Name: job.Annotations[execjob.AnnotationNotification]},
		job.Annotations[execjob.AnnotationChannel],
	}
}

// of returns the Jobs that are there for a delivery: one, or more where an earlier Notification had the same name.
func (j *jobs) of(d deliveryRequest) []*metav1.PartialObjectMetadata {
	j.mu.Lock()
	w := j.watches[d.Namespace]
	j.mu.Unlock()
	if w == nil {
		return nil
	}
	found, err := w.informer.GetIndexer().ByIndex(indexByDelivery, d.Name+"/"+d.Channel)
	if err != nil {
		return nil
	}
	var all []*metav1.PartialObjectMetadata
	for _, o := range found {
		if job, ok := o.(*metav1.PartialObjectMetadata); ok {
			all = append(all, job)
		}
	}
	return all
}

func deliveryOf(o any) ([]string, error) {
	job, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, nil
	}
	d := requestOf(job)
	return []string{d.Name + "/" + d.Channel}, nil
}

func withoutManagedFields(o any) (any, error) {
	if job, ok := o.(*metav1.PartialObjectMetadata); ok {
		job.ManagedFields = nil
	}
	return o, nil
}
