// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/cli"
)

// told is an entry with a state, at a resourceVersion.
func told(name, version, state string) *v1alpha1.Notification {
	n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
		Namespace: "security", Name: name, ResourceVersion: version, CreationTimestamp: metav1.NewTime(noon),
		Annotations: map[string]string{"at": version},
	}}
	n.Status.Conditions = []metav1.Condition{{Type: v1alpha1.SucceededCondition, Reason: state}}
	return n
}

// watchLog runs log --watch on a server that answers watches with these scripts, one after the other, and then is interrupted.
// What the server lists is the log at that time.
func watchLog(t *testing.T, args []string, log func(watched int) []client.Object, scripts ...any) (x *terminal, code int) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	x = newTerminal(t)
	watched := 0
	x.client = interceptor.NewClient(x.client, interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
			to := list.(*v1alpha1.NotificationList)
			to.ResourceVersion = "50"
			for _, o := range log(watched) {
				to.Items = append(to.Items, *o.(*v1alpha1.Notification))
			}
			return nil
		},
		Watch: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
			if watched == len(scripts) {
				interrupt()
				return nil, ctx.Err()
			}
			watched++
			switch script := scripts[watched-1].(type) {
			case error:
				return nil, script
			case []watch.Event:
				events := watch.NewFakeWithChanSize(len(script), false)
				for _, e := range script {
					events.Action(e.Type, e.Object)
				}
				events.Stop()
				return events, nil
			default:
				panic("no script")
			}
		},
	})
	return x, cli.Run(ctx, x.App, append([]string{"log", "--watch", "--no-headers"}, args...))
}

func changes(to ...*v1alpha1.Notification) []watch.Event {
	var events []watch.Event
	for _, n := range to {
		events = append(events, watch.Event{Type: watch.Modified, Object: n})
	}
	return events
}

// columns are the names and states that were shown.
func (x *terminal) columns() string { return strings.Join(strings.Fields(x.out.String()), " ") }

var nameAndState = []string{"-o", "custom-columns=N:.metadata.name,S:.status.conditions[0].reason"}

func nobody(int) []client.Object { return nil }

func TestAnEntryIsShownAgainWhenWhatIsShownOfItChanges(t *testing.T) {
	t.Parallel()
	first := func(int) []client.Object { return []client.Object{told("a", "10", "Sending")} }
	after := changes(told("a", "51", "Sending"), told("a", "52", "Sending"), told("b", "53", "Sending"), told("a", "54", "Delivered"),
		told("a", "55", "Delivered"))
	for format, want := range map[string]string{
		nameAndState[1]: "a Sending b Sending a Delivered", "name": "notification.tocsin.dev/a notification.tocsin.dev/b",
		"jsonpath={.metadata.name}{.status.conditions[0].reason}{' '}":               "aSending bSending aDelivered",
		"go-template={{.metadata.name}}{{.metadata.annotations.at}}{{printf \" \"}}": "a10 a51 a52 b53 a54 a55",
	} {
		x, code := watchLog(t, []string{"-o", format}, first, after)
		if x.columns() != want || code != 130 {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", format, code, x.columns(), want, x.err.String())
		}
	}
	x, _ := watchLog(t, nil, first, after)
	if rows := strings.Count(x.out.String(), "\n"); rows != 3 {
		t.Errorf("got %d rows:\n%s", rows, x.out.String())
	}
	again := []watch.Event{{Type: watch.Deleted, Object: told("a", "51", "Sending")}, {Type: watch.Added, Object: told("a", "52", "Sending")}}
	if x, _ := watchLog(t, nameAndState, first, again); x.columns() != "a Sending a Sending" {
		t.Errorf("another one of the same name is not shown: %q", x.columns())
	}
}

func TestAWatchOutlivesTheServer(t *testing.T) {
	t.Parallel()
	refused := &url.Error{Op: "Get", URL: "https://127.0.0.1:6443/x", Err: syscall.ECONNREFUSED}
	expired := apierrors.NewResourceExpired("too old")
	log := func(watched int) []client.Object {
		if watched < 3 {
			return []client.Object{told("a", "10", "Sending")}
		}
		return []client.Object{told("a", "52", "Sending"), told("c", "40", "Sending"), told("z", "53", "Delivered"), told("y", "54", "Failed")}
	}
	x, code := watchLog(t, nameAndState, log, changes(told("b", "51", "Sending")), refused, expired,
		changes(told("y", "54", "Failed"), told("a", "55", "Delivered")))
	if want := "a Sending b Sending y Failed z Delivered a Delivered"; x.columns() != want || code != 130 {
		t.Errorf("exit code %d, got %q, want %q", code, x.columns(), want)
	}
	want := "The API server does not answer, --watch goes on when it does: The connection to the server 127.0.0.1:6443 was refused - " +
		"did you specify the right host or port?\nThe API server answers again.\n"
	if x.err.String() != want {
		t.Errorf("said is %q", x.err.String())
	}
}

func TestWhatEndsAWatch(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "tocsin.dev", Resource: "notifications"}
	for name, tc := range map[string]struct {
		err error
		// code is 130 when the watch has gone on.
		code int
	}{
		"forbidden":         {apierrors.NewForbidden(resource, "", errors.New("no")), 1},
		"who is it":         {apierrors.NewUnauthorized("no"), 1},
		"no such kind":      {apierrors.NewNotFound(resource, ""), 1},
		"busy":              {apierrors.NewTooManyRequests("later", 1), 130},
		"starting":          {apierrors.NewServiceUnavailable("starting"), 130},
		"a broken server":   {apierrors.NewInternalError(errors.New("etcd")), 130},
		"a connection lost": {&url.Error{Op: "Get", URL: "https://x", Err: syscall.ECONNRESET}, 130},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := watch.Event{Type: watch.Error}
			scripts := []any{tc.err}
			if answer, ok := tc.err.(apierrors.APIStatus); ok {
				s := answer.Status()
				status.Object = &s
				scripts = []any{[]watch.Event{status}}
			}
			for _, script := range append(scripts, tc.err) {
				if x, code := watchLog(t, nil, nobody, script); code != tc.code || x.err.Len() == 0 {
					t.Errorf("exit code %d: %s", code, x.err.String())
				}
			}
		})
	}
}

func TestAWatchThatWaitsForTheServerIsInterruptedAtOnce(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	x := newTerminal(t)
	x.client = interceptor.NewClient(x.client, interceptor.Funcs{
		Watch: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
			time.AfterFunc(time.Millisecond, interrupt) // while it waits to ask again
			return nil, apierrors.NewServiceUnavailable("starting")
		},
	})
	if code := cli.Run(ctx, x.App, []string{"log", "--watch"}); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

func TestAnOrderDoesNotEndAWatch(t *testing.T) {
	t.Parallel()
	x, code := watchLog(t, append(nameAndState, "--sort-by", ".spec.severity"), nobody, changes(told("a", "51", "Sending")))
	if x.columns() != "a Sending" || code != 130 {
		t.Errorf("exit code %d, got %q: %s", code, x.columns(), x.err.String())
	}
}
