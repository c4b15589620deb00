// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// archiveInAFile: what is deleted is still read, by those who may, however the manager ends.
func archiveInAFile(t *testing.T, s *site) {
	s.offerVolume(t)
	deploy(t, "archive-sqlite")
	claim := &corev1.PersistentVolumeClaim{}
	if err := k8s.Client.Get(t.Context(), client.ObjectKey{Namespace: home, Name: "tocsin-archive"}, claim); err != nil ||
		claim.Status.Phase != corev1.ClaimBound {
		t.Errorf("the volume's claim is %s (%v)", claim.Status.Phase, err)
	}
	s.withMail(t)
	s.watch(t, "each", each)
	alice := s.reader(t)
	s.report(t, "ws-1")
	first := s.awaitArchived(t, alice, 1)
	s.forget(t, alice, first...)
	s.strangersReadNothing(t)
	if n := restart(t); n != 1 {
		t.Errorf("%d managers had the volume at once", n)
	}
	s.report(t, "ws-2")
	all := s.awaitArchived(t, alice, 2)
	s.killManagers(t)
	if names := s.awaitArchived(t, alice, 2); !slices.Equal(names, all) {
		t.Errorf("after a kill the archive has %v, want %v", names, all)
	}
	managersMayDoTheirWork(t, s)
}

// archiveInADatabase: it is read from each manager, and while the database is away nothing waits for it and nothing is lost.
func archiveInADatabase(t *testing.T, s *site) {
	database := newDatabase(t)
	deploy(t, "archive-postgres", database.access()...)
	s.withMail(t)
	s.watch(t, "each", each)
	alice := s.reader(t)
	s.report(t, "ws-1")
	first := s.awaitArchived(t, alice, 1)
	s.forget(t, alice, first...)
	s.strangersReadNothing(t)

	database.Crash(t)
	s.report(t, "ws-2", "ws-3")
	s.awaitDelivered(t, "each", 2)
	if mails := s.mails(t); len(mails) != 3 {
		t.Errorf("there are %d mails, want three: %v", len(mails), mails)
	}
	out, err := alice.tocsin(t, "log", "--archive")
	if err == nil || !strings.Contains(err.Error(), "the archive cannot be read now") {
		t.Errorf("without a database the log is %q (%v)", out, err)
	}
	s.killManagers(t)
	database.Start(t)
	s.awaitArchived(t, alice, 3)
	managersMayDoTheirWork(t, s)
}

// deploy installs as docs/operations.md says: with an overlay of config/default that lists a component.
func deploy(t *testing.T, component string, needed ...client.Object) {
	t.Helper()
	k8s.Create(t, needed...)
	overlay := t.TempDir()
	root, err := filepath.Rel(overlay, cluster.Root())
	if err != nil {
		t.Fatal(err)
	}
	image := imageOfManager()
	colon := strings.LastIndex(image, ":")
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), fmt.Appendf(nil, `
resources: [%[1]s/config/default]
components: [%[1]s/config/components/%[2]s]
images: [{name: tocsin-manager, newName: %[3]q, newTag: %[4]q}]
`, root, component, image[:colon], image[colon+1:]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(command("kubectl", "apply", "-k", overlay), rolledOut()); err != nil {
		t.Fatal(err)
	}
}

// restart has the managers replaced as an upgrade does, and returns how many there were at once.
func restart(t *testing.T) (most int) {
	t.Helper()
	pods, err := k8s.Client.Watch(t.Context(), &corev1.PodList{}, client.InNamespace(home),
		client.MatchingLabels{"app.kubernetes.io/component": "manager"})
	if err != nil {
		t.Fatal(err)
	}
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		alive := map[string]bool{}
		for event := range pods.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				select {
				case <-enough: // the end of the watch is told, too
				default:
					t.Errorf("watching the managers: %v", event.Object)
				}
				return
			}
			if event.Type == watch.Deleted || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
				delete(alive, pod.Name)
			} else {
				alive[pod.Name] = true
			}
			most = max(most, len(alive))
		}
	}()
	err = errors.Join(command("kubectl", "rollout", "restart", "-n", home, "deployment/tocsin-manager"), rolledOut())
	close(enough)
	pods.Stop()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	return most
}

// reader is somebody who may do what docs/operations.md says that a reader of a namespace's archive needs, and nothing more.
func (s *site) reader(t *testing.T) *user {
	t.Helper()
	s.kubectl(t, "create serviceaccount tocsin-log-reader")
	s.bind(t, "tocsin-viewer", "tocsin-log-reader")
	s.bind(t, "tocsin-viewer", "alice")
	s.bind(t, "tocsin-archive-reader", "alice")
	return s.user(t, "alice")
}

// strangersReadNothing: neither who may not have a token, nor whose token says that he may not read.
func (s *site) strangersReadNothing(t *testing.T) {
	t.Helper()
	other := newSite(t)
	other.kubectl(t, "create serviceaccount tocsin-log-reader")
	other.bind(t, "tocsin-archive-reader", "mallory")
	mallory := other.user(t, "mallory")
	const help = "; docs/operations.md#reading-the-archive tells what a reader needs"
	for namespace, want := range map[string]string{
		s.namespace:     `cannot create resource "serviceaccounts/token"`,
		other.namespace: "may not list notifications.tocsin.dev in namespace " + other.namespace,
	} {
		out, err := mallory.tocsin(t, "log", "--archive", "-n", namespace)
		if err == nil || out != "" || !strings.Contains(err.Error(), "Forbidden") || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), help) {
			t.Errorf("a stranger is shown %q, and told: %v", out, err)
		}
	}
}

// awaitArchived waits until the archive shows so many, and returns their names.
func (s *site) awaitArchived(t *testing.T, reader *user, want int) (names []string) {
	t.Helper()
	cluster.Eventually(t, fmt.Sprintf("%d archived notifications", want), func(context.Context) error {
		out, err := reader.tocsin(t, "log", "--archive", "-o", "name")
		if names = strings.Fields(out); err != nil || len(names) != want {
			return fmt.Errorf("there are %v (%w)", names, err)
		}
		return nil
	})
	return names
}

// forget deletes notifications from the cluster, and looks whether the archive still tells of them.
func (s *site) forget(t *testing.T, reader *user, names ...string) {
	t.Helper()
	s.kubectl(t, "delete "+strings.Join(names, " "))
	if left := k8s.Notifications(t, s.namespace); len(left) != 0 {
		t.Fatalf("there are still %d notifications", len(left))
	}
	if still := reader.archived(t); !slices.Equal(still, names) {
		t.Errorf("the archive has %v, want %v", still, names)
	}
	for _, name := range names {
		_, name, _ := strings.Cut(name, "/")
		out, err := reader.tocsin(t, "show", "--archive", name)
		if err != nil || !strings.Contains(out, "Malicious object detected") || !strings.Contains(out, "soc@example.com") {
			t.Errorf("the story of %s (%v):\n%s", name, err, out)
		}
	}
}

// archived is what the archive has.
func (u *user) archived(t *testing.T) []string {
	t.Helper()
	out, err := u.tocsin(t, "log", "--archive", "-o", "name")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(out)
}
