// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// volume is a folder for an archive. The archive is away until it is mounted.
type volume string

func newVolume(t *testing.T) volume { return volume(filepath.Join(t.TempDir(), "volume")) }

func (v volume) mount(t *testing.T) {
	t.Helper()
	if err := os.Mkdir(string(v), 0o700); err != nil {
		t.Fatal(err)
	}
}

func (v volume) location() string { return "sqlite://" + filepath.Join(string(v), "log.db") }

// holds are the names of what is archived of a namespace.
func (v volume) holds(t *testing.T, ns string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	if _, err := os.Stat(string(v)); err != nil {
		return names
	}
	store, err := archive.New(v.location())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for q := (archive.Query{Namespace: ns}); ; {
		page, err := store.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Notifications {
			names[page.Notifications[i].Name] = true
		}
		if q.Continue = page.Continue; q.Continue == "" {
			return names
		}
	}
}

// tell has a condition fire that often, and waits for all that there is to be finished.
func tell(t *testing.T, ns string, times int) []v1alpha1.Notification {
	t.Helper()
	var reporters sync.WaitGroup
	for i := range times {
		reporters.Go(func() { k8s.Create(t, detection(ns, fmt.Sprint("ws-", i))) })
	}
	reporters.Wait()
	return awaitState(t, ns, times, v1alpha1.ReasonLogged)
}

func fires(t *testing.T, ns string) {
	t.Helper()
	c := condition(ns, "SingleRiskEvent")
	c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	k8s.Create(t, c)
	awaitReady(t, c)
}

// What somebody has deleted while the archive was away is in the manager's memory alone.
func TestToldToStopItArchivesWhatIsGone(t *testing.T) {
	ns, disk := k8s.Namespace(t), newVolume(t)
	p := start(t, "--archive="+disk.location(), "--archive-bind-address=0")
	fires(t, ns)
	gone := tell(t, ns, 150)
	if err := k8s.Client.DeleteAllOf(t.Context(), &v1alpha1.Notification{}, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	last := tell(t, ns, 1) // whoever has heard of it has heard of the deletions
	disk.mount(t)
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code is %d", code)
	}
	archived := disk.holds(t, ns)
	missing := 0
	for _, n := range append(gone, last...) {
		if !archived[n.Name] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d are not archived", missing, len(gone)+1)
	}
}

// Whatever is killed, and whenever: what retention deletes is archived.
func TestRetentionDeletesNothingThatIsNotArchived(t *testing.T) {
	ns, disk := k8s.Namespace(t), newVolume(t)
	args := []string{"--archive=" + disk.location(), "--archive-bind-address=0", "--notification-retention=Critical=1s"}
	first := start(t, args...)
	fires(t, ns)
	all := tell(t, ns, 40)
	last := time.Now()
	first.kill()

	second := start(t, args...)
	// Their age is over after a second, and nothing is deleted within its first minute: they would all go now.
	time.Sleep(time.Until(last.Add(65 * time.Second)))
	if left := k8s.Notifications(t, ns); len(left) != len(all) {
		t.Fatalf("%d of %d are left, and there is no archive yet", len(left), len(all))
	}
	second.kill()

	disk.mount(t)
	for left := len(all); left > 0; {
		p := start(t, args...)
		before := left
		cluster.Eventually(t, "some are deleted", func(context.Context) error {
			if left = len(k8s.Notifications(t, ns)); left == before && left > 0 {
				return fmt.Errorf("there are still %d", left)
			}
			return nil
		})
		p.kill()
		there := disk.holds(t, ns)
		for _, n := range k8s.Notifications(t, ns) {
			there[n.Name] = true
		}
		for _, n := range all {
			if !there[n.Name] {
				t.Fatalf("with %d left, %s is neither in the cluster nor in the archive", left, n.Name)
			}
		}
	}
}
