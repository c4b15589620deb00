// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// rewatch is how long to wait before a watch that the server has ended is begun anew.
const rewatch = time.Second

// follow shows what comes and what changes, from where the list was read, until the command is interrupted.
func (v *logVerb) follow(ctx context.Context, a *App, c client.WithWatch, q query, filter *logfilter.Filter,
	table *screen.Table, seen string) error {
	show := func(n *v1alpha1.Notification) error {
		if !filter.Match(n) {
			return nil
		}
		var found entries
		if err := v.add(&found, n); err != nil {
			return err
		}
		return v.show(a, table, found.list, "", "", true)
	}
	for {
		next, err := v.watchOnce(ctx, c, q, seen, show)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case apierrors.IsResourceExpired(err) || apierrors.IsGone(err):
			next, err = catchUp(ctx, c, q, seen, show)
		}
		if err != nil {
			return err
		}
		seen = next
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rewatch):
		}
	}
}

// watchOnce shows changes until the server ends the watch, and returns up to where it has seen them.
func (v *logVerb) watchOnce(ctx context.Context, c client.WithWatch, q query, seen string,
	show func(*v1alpha1.Notification) error) (string, error) {
	options := q.options()
	options.Limit = 0
	options.Raw = &metav1.ListOptions{ResourceVersion: seen, AllowWatchBookmarks: true}
	w, err := c.Watch(ctx, &v1alpha1.NotificationList{}, options)
	if err != nil {
		return seen, err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			return seen, apierrors.FromObject(event.Object)
		}
		n, ok := event.Object.(*v1alpha1.Notification)
		if !ok {
			continue
		}
		seen = n.ResourceVersion
		if event.Type == watch.Added || event.Type == watch.Modified {
			if err := show(n); err != nil {
				return seen, err
			}
		}
	}
	return seen, nil
}

// catchUp shows what has changed since, when the server no longer knows in which order.
func catchUp(ctx context.Context, c client.Reader, q query, seen string, show func(*v1alpha1.Notification) error) (string, error) {
	return each(ctx, c, &v1alpha1.NotificationList{}, q, func(n *v1alpha1.Notification) error {
		if plan.ParsePosition(n.ResourceVersion) <= plan.ParsePosition(seen) {
			return nil
		}
		return show(n)
	})
}
