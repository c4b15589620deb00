// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
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

const (
	// rewatch is how long to wait before a watch that has ended is begun anew; each time in vain twice as long as before.
	rewatch = time.Second
	// longestRewatch is the longest such wait.
	longestRewatch = 30 * time.Second
)

// hashSeed is for watching.last.
var hashSeed = maphash.MakeSeed()

// watching shows what comes and what changes.
type watching struct {
	*logVerb
	*App

	cluster client.WithWatch
	query   query
	filter  *logfilter.Filter
	table   *screen.Table
	// seen is the resourceVersion up to which all is shown.
	seen string
	// expired: the server no longer knows what has changed since seen.
	expired bool
	// away: the server does not answer, and that was said.
	away bool
	// last is a hash of what was last shown of each object.
	last map[string]uint64
	// failed is why something could not be shown.
	failed error
}

// follow goes on from where the list was read, until the command is interrupted or the server refuses.
func (w *watching) follow(ctx context.Context) error {
	for wait := rewatch; ; wait = min(2*wait, longestRewatch) {
		err := w.goOn(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case w.failed != nil:
			return w.failed
		case err == nil:
			wait = rewatch
		case apierrors.IsResourceExpired(err) || apierrors.IsGone(err):
			w.expired = true
		case !passing(err):
			return err
		case !w.away:
			w.away, wait = true, rewatch
			w.note("The API server does not answer, --watch goes on when it does: %s", explain(err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// passing says whether an error may be gone when asked again: the server is away, starting or busy. It does not when the
// server refuses.
func passing(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
	}
	var stranger *tls.CertificateVerificationError
	return !errors.As(err, &stranger)
}

// goOn shows what has changed, and what changes until the server ends the watch.
func (w *watching) goOn(ctx context.Context) error {
	if w.expired {
		if err := w.catchUp(ctx); err != nil {
			return err
		}
	}
	options := w.query.options()
	options.Limit = 0
	options.Raw = &metav1.ListOptions{ResourceVersion: w.seen, AllowWatchBookmarks: true}
	events, err := w.cluster.Watch(ctx, &v1alpha1.NotificationList{}, options)
	if err != nil {
		return err
	}
	defer events.Stop()
	w.answered()
	for event := range events.ResultChan() {
		if event.Type == watch.Error {
			return apierrors.FromObject(event.Object)
		}
		if n, ok := event.Object.(*v1alpha1.Notification); ok {
			if w.failed = w.take(event.Type, n); w.failed != nil {
				return w.failed
			}
		}
	}
	return nil
}

func (w *watching) answered() {
	if w.away {
		w.note("The API server answers again.")
	}
	w.away = false
}

func (w *watching) take(what watch.EventType, n *v1alpha1.Notification) error {
	w.seen = n.ResourceVersion
	var found entries
	switch {
	case what == watch.Deleted:
		delete(w.last, n.Namespace+"/"+n.Name)
		return nil
	case what != watch.Added && what != watch.Modified, !w.filter.Match(n):
		return nil
	}
	if err := w.add(&found, n); err != nil {
		return err
	}
	return w.tell(found.list)
}

// catchUp shows what has changed since, when the server no longer knows in which order.
func (w *watching) catchUp(ctx context.Context) error {
	found := entries{tail: -1}
	there := map[string]bool{}
	seen, err := each(ctx, w.cluster, &v1alpha1.NotificationList{}, w.query, func(n *v1alpha1.Notification) error {
		there[n.Namespace+"/"+n.Name] = true
		if plan.ParsePosition(n.ResourceVersion) <= plan.ParsePosition(w.seen) || !w.filter.Match(n) {
			return nil
		}
		w.failed = w.add(&found, n)
		return w.failed
	})
	if err != nil {
		return err
	}
	w.answered()
	for name := range w.last {
		if !there[name] {
			delete(w.last, name)
		}
	}
	w.seen, w.expired = seen, false
	w.failed = w.tell(found.inOrder())
	return w.failed
}

// tell shows those of which something else is to be shown than before.
func (w *watching) tell(found []entry) error {
	var news []entry
	for _, e := range found {
		hash, err := w.hash(e)
		if err != nil {
			return err
		}
		if last, told := w.last[e.name]; !told || last != hash {
			news = append(news, e)
		}
		w.last[e.name] = hash
	}
	return w.show(w.App, w.table, news, "", "", true)
}

// hash is one of what is shown of an object.
func (w *watching) hash(e entry) (uint64, error) {
	var out bytes.Buffer
	if e.row != nil {
		for _, cell := range e.row {
			fmt.Fprintf(&out, "%q", cell.Text)
		}
		return maphash.Bytes(hashSeed, out.Bytes()), nil
	}
	a := *w.App
	a.Out = &out
	err := w.value(&a, e.object)
	return maphash.Bytes(hashSeed, out.Bytes()), err
}
