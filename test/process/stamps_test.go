// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// kubectl runs it as a user, with a manifest to read.
func kubectl(t *testing.T, c *cluster.Cluster, user, manifest string, args ...string) (string, error) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, c.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), append(args, "--as="+user)...)
	cmd.Env, cmd.Stdin = append(os.Environ(), "KUBECONFIG="+config), strings.NewReader(manifest)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// invalid says whether an attempt was refused by the schema with these words.
func invalid(t *testing.T, what, want string, err error) {
	t.Helper()
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s ended with %v, want %q", what, err, want)
	}
}

// stampsOnly skips a test of what the API server writes where it does not; TestOlderServers says what holds there.
func stampsOnly(t *testing.T) {
	t.Helper()
	if older {
		t.Skip("this API server is of Kubernetes before 1.36")
	}
}

// given is the name that a user must give where the API server does not write it.
func given(user string) string {
	if older {
		return user
	}
	return ""
}

func creator(o client.Object) string { return o.GetAnnotations()[v1alpha1.CreatorAnnotation] }

// stamped is a condition of a user's, made once the API server writes who made it.
func stamped(t *testing.T, user client.Client, who, ns, name string) *v1alpha1.NotificationCondition {
	t.Helper()
	var c *v1alpha1.NotificationCondition
	cluster.Eventually(t, "a condition with its creator", func(ctx context.Context) error {
		c = condition(ns, "SingleRiskEvent")
		c.Name = name
		if older {
			c.Annotations = map[string]string{v1alpha1.CreatorAnnotation: who}
		}
		if err := user.Create(ctx, c); err != nil {
			return err
		}
		if creator(c) == "" {
			return errors.Join(errors.New("nobody wrote who made it"), user.Delete(ctx, c))
		}
		return nil
	})
	return c
}

func TestWhoMakesAConditionIsWrittenDown(t *testing.T) {
	stampsOnly(t)
	ns := k8s.Namespace(t)
	alice, bob := as(t, "alice", ns, "tocsin-editor"), as(t, "bob", ns, "tocsin-editor")
	c := stamped(t, alice, "alice", ns, "hers")
	if creator(c) != "alice" {
		t.Fatalf("it was made by %q, want alice, as whom the administrator acted", creator(c))
	}
	by := func(who string) *v1alpha1.NotificationCondition {
		c := condition(ns, "SingleRiskEvent")
		c.Name, c.Annotations = "made-by-"+who, map[string]string{v1alpha1.CreatorAnnotation: who}
		return c
	}
	forbidden(t, "making one in another's name", "must be bob, who creates the condition", func(ctx context.Context) error {
		return bob.Create(ctx, by("alice"), client.DryRunAll)
	})
	allowed(t, "making one in one's own name", func(ctx context.Context) error { return bob.Create(ctx, by("bob"), client.DryRunAll) })
	for name, user := range map[string]client.Client{"bob": bob, "an administrator": k8s.Client} {
		forbidden(t, name+" takes it over", "may not be changed: it says who made the condition", func(ctx context.Context) error {
			if err := user.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			c.Annotations[v1alpha1.CreatorAnnotation] = "bob"
			return user.Update(ctx, c)
		})
	}
	allowed(t, "a change that leaves it out", func(ctx context.Context) error {
		if err := bob.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		c.Annotations, c.Spec.Suspend = nil, true
		return bob.Update(ctx, c)
	})
	if k8s.Get(t, c); creator(c) != "alice" || !c.Spec.Suspend {
		t.Errorf("after that it was made by %q, suspended: %t", creator(c), c.Spec.Suspend)
	}
	remove := client.RawPatch(types.JSONPatchType, []byte(`[{"op": "remove", "path": "/metadata/annotations"}]`))
	if err := bob.Patch(t.Context(), c, remove); err != nil || creator(c) != "alice" {
		t.Errorf("after it was removed (%v), it was made by %q", err, creator(c))
	}
}

// TestASubresourceDoesNotChangeWhoMadeIt: neither the status, whoever may write that, nor those that there are not.
func TestASubresourceDoesNotChangeWhoMadeIt(t *testing.T) {
	ns := k8s.Namespace(t)
	c := stamped(t, as(t, "alice", ns, "tocsin-editor"), "alice", ns, "hers")
	c.Annotations[v1alpha1.CreatorAnnotation] = "bob"
	c.Status.MatchedTotal = 1
	if err := k8s.Client.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if k8s.Get(t, c); creator(c) != "alice" || c.Status.MatchedTotal != 1 {
		t.Errorf("after its status was written it was made by %q, matched %d", creator(c), c.Status.MatchedTotal)
	}
	forged := client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"annotations": {"tocsin.dev/creator": "bob"}}}`))
	if err := k8s.Client.Status().Patch(t.Context(), c, forged); err != nil {
		t.Fatal(err)
	}
	for _, subresource := range []string{"scale", "creator"} {
		if err := k8s.Client.SubResource(subresource).Patch(t.Context(), c, forged); !apierrors.IsNotFound(err) {
			t.Errorf("the subresource %s: %v", subresource, err)
		}
	}
	if k8s.Get(t, c); creator(c) != "alice" {
		t.Errorf("in the end it was made by %q", creator(c))
	}
}

// TestApplyingAgainChangesNothing: what admission adds is no drift, however a manifest is applied, and whoever does it.
func TestApplyingAgainChangesNothing(t *testing.T) {
	stampsOnly(t)
	ns := k8s.Namespace(t)
	as(t, "alice", ns, "tocsin-editor")
	as(t, "bob", ns, "tocsin-editor")
	manifest := func(name string) string {
		return fmt.Sprintf(`{"apiVersion": "tocsin.dev/v1alpha1", "kind": "NotificationCondition",
			"metadata": {"namespace": %q, "name": %q}, "spec": {"type": "SingleRiskEvent"}}`, ns, name)
	}
	for name, how := range map[string][]string{
		"by-the-client": {"apply", "-f", "-"}, "by-the-server": {"apply", "--server-side", "-f", "-"},
	} {
		cluster.Eventually(t, "applying "+name, func(context.Context) error {
			out, err := kubectl(t, k8s, "alice", manifest(name), how...)
			if err != nil {
				return errors.New(out)
			}
			return nil
		})
		c := condition(ns, "")
		c.Name = name
		if k8s.Get(t, c); creator(c) != "alice" {
			t.Fatalf("%s: it was made by %q", name, creator(c))
		}
		var before string
		for range 2 { // with the first change by the server, the default of the status is stored
			before = c.ResourceVersion
			if out, err := kubectl(t, k8s, "alice", manifest(name), how...); err != nil {
				t.Errorf("%s again: %s", name, out)
			}
			k8s.Get(t, c)
		}
		if out, err := kubectl(t, k8s, "bob", manifest(name), append(how, "--force-conflicts="+fmt.Sprint(name == "by-the-server"))...); err != nil {
			t.Errorf("%s again by another: %s", name, out)
		}
		if out, err := kubectl(t, k8s, "alice", manifest(name), append([]string{"diff"}, how[1:]...)...); err != nil {
			t.Errorf("%s: drift: %s", name, out)
		}
		if k8s.Get(t, c); c.ResourceVersion != before || creator(c) != "alice" {
			t.Errorf("%s: it went from %s to %s, made by %q", name, before, c.ResourceVersion, creator(c))
		}
		if out, err := kubectl(t, k8s, "bob", manifest(name), "replace", "-f", "-"); err != nil {
			t.Errorf("%s, replaced: %s", name, out)
		}
		if k8s.Get(t, c); creator(c) != "alice" {
			t.Errorf("%s: after it was replaced it was made by %q", name, creator(c))
		}
	}
}

func TestANotificationTellsWhoMadeItsCondition(t *testing.T) {
	ns := k8s.Namespace(t)
	alice := as(t, "alice@example.com", ns, "tocsin-editor")
	c := stamped(t, alice, "alice@example.com", ns, "hers")
	start(t)
	awaitReady(t, c)
	k8s.Create(t, detection(ns, "ws"))
	n := awaitState(t, ns, 1, v1alpha1.ReasonLogged)[0]
	if n.Spec.Creator != "alice@example.com" {
		t.Errorf("its creator is %q", n.Spec.Creator)
	}
	for selector, want := range map[string]int{
		"spec.creator=alice@example.com": 1, "spec.creator=bob": 0,
		"status.acknowledged=false": 1, "status.acknowledged=true": 0, "status.acknowledged!=true": 1,
	} {
		if got := selected(t, ns, selector); got != want {
			t.Errorf("%s selects %d, want %d", selector, got, want)
		}
	}

	acknowledger := as(t, "carol", ns, "tocsin-acknowledger")
	allowed(t, "acknowledging", commenting(t, acknowledger, &n, v1alpha1.Acknowledgement{Comment: "cleaned", By: given("carol")}))
	k8s.Until(t, &n, func() error {
		if !status.IsTrue(n.Status.Conditions, v1alpha1.AcknowledgedCondition) {
			return errors.New("not acknowledged")
		}
		return nil
	})
	a := n.Spec.Acknowledgement
	if (a.Time == nil) != older || !older && !n.Status.AcknowledgedTime.Equal(a.Time) {
		t.Errorf("acknowledged at %v, says the status; at %v, says the API server", n.Status.AcknowledgedTime, a.Time)
	}
	message := status.Message(n.Status.Conditions, v1alpha1.AcknowledgedCondition)
	if want := "by carol at " + n.Status.AcknowledgedTime.UTC().Format(time.RFC3339); message != want {
		t.Errorf("it says %q, want %q", message, want)
	}
	if got := selected(t, ns, "status.acknowledged=true,spec.condition.name=hers"); got != 1 {
		t.Errorf("%d are acknowledged", got)
	}
}

func selected(t *testing.T, ns, selector string) int {
	t.Helper()
	var list v1alpha1.NotificationList
	err := k8s.Client.List(t.Context(), &list, client.InNamespace(ns), &client.ListOptions{Raw: &metav1.ListOptions{FieldSelector: selector}})
	if err != nil {
		t.Fatalf("%s: %v", selector, err)
	}
	return len(list.Items)
}

// entry is a notification to acknowledge.
func entry(t *testing.T, ns, name string) *v1alpha1.Notification {
	t.Helper()
	n := &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.NotificationSpec{
			Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
		},
	}
	k8s.Create(t, n)
	return n
}

// acknowledging is an attempt to acknowledge a notification so.
func acknowledging(user client.Client, n *v1alpha1.Notification, a v1alpha1.Acknowledgement, options ...client.UpdateOption) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := user.Get(ctx, client.ObjectKeyFromObject(n), n); err != nil {
			return err
		}
		n.Spec.Acknowledgement = &a
		return user.Update(ctx, n, options...)
	}
}

// commenting is an attempt to set nothing but these fields of an acknowledgement.
func commenting(t *testing.T, user client.Client, n *v1alpha1.Notification, a v1alpha1.Acknowledgement) func(context.Context) error {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"acknowledgement": a}})
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error {
		return user.Patch(ctx, n, client.RawPatch(types.MergePatchType, patch))
	}
}

func TestNobodyAcknowledgesForAnother(t *testing.T) {
	ns := k8s.Namespace(t)
	users := map[string]client.Client{
		"carol": as(t, "carol", ns, "tocsin-acknowledger"), "root": as(t, "root", ns, "tocsin-admin"),
	}
	if !older { // there an administrator would have to give his name, too
		users[""] = k8s.Client
	}
	n := entry(t, ns, "entry")
	past := metav1.NewTime(time.Now().Add(-time.Hour).Truncate(time.Second))
	for name, user := range users {
		forbidden(t, name+" forges the name", "spec.acknowledgement.by must be "+name,
			acknowledging(user, n, v1alpha1.Acknowledgement{Comment: "seen", By: "dave"}, client.DryRunAll))
		forbidden(t, name+" forges the time", "spec.acknowledgement.time must be left out",
			acknowledging(user, n, v1alpha1.Acknowledgement{Comment: "seen", By: given(name), Time: &past}, client.DryRunAll))
	}
	before := time.Now().Truncate(time.Second)
	allowed(t, "acknowledging", acknowledging(users["carol"], n, v1alpha1.Acknowledgement{Comment: "seen", By: "carol"}))
	a := n.Spec.Acknowledgement
	if a.By != "carol" || (a.Time == nil) != older || !older && (a.Time.Time.Before(before) || a.Time.After(time.Now())) {
		t.Errorf("it is %+v; it was asked for at %s", a, before)
	}
	for name, user := range users {
		for what, change := range map[string]func(){
			"the comment": func() { n.Spec.Acknowledgement.Comment = "other" },
			"the name":    func() { n.Spec.Acknowledgement.By = "dave" },
			"the time":    func() { n.Spec.Acknowledgement.Time = &past },
			"no name":     func() { n.Spec.Acknowledgement.By = "" },
		} {
			k8s.Get(t, n)
			change()
			invalid(t, name+" changes "+what, "may be set once, and carol has done so", user.Update(t.Context(), n))
		}
		k8s.Get(t, n)
		n.Spec.Acknowledgement = nil
		invalid(t, name+" takes it back", "may not be taken back", user.Update(t.Context(), n))
	}
}

// TestATimeThatIsBroughtAlongIsNotTaken: managedFields come with the request, too, and could tell of any time.
func TestATimeThatIsBroughtAlongIsNotTaken(t *testing.T) {
	ns := k8s.Namespace(t)
	carol := as(t, "carol", ns, "tocsin-acknowledger")
	future := metav1.NewTime(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	claim := func(fields string, set ...func(*metav1.ManagedFieldsEntry)) []metav1.ManagedFieldsEntry {
		e := metav1.ManagedFieldsEntry{
			Manager: "evil", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "tocsin.dev/v1alpha1", Time: &future,
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
		}
		for _, s := range set {
			s(&e)
		}
		return []metav1.ManagedFieldsEntry{e}
	}
	const comment = `{"f:spec": {"f:acknowledgement": {".": {}, "f:comment": {}}}}`
	i := 0
	for what, fields := range map[string][]metav1.ManagedFieldsEntry{
		"a claim": claim(comment),
		"a claim that it was applied": claim(comment, func(e *metav1.ManagedFieldsEntry) {
			e.Operation = metav1.ManagedFieldsOperationApply
		}),
		"a claim through the status":     claim(comment, func(e *metav1.ManagedFieldsEntry) { e.Subresource = "status" }),
		"a claim in another version":     claim(comment, func(e *metav1.ManagedFieldsEntry) { e.APIVersion = "tocsin.dev/v9" }),
		"a claim in one's own name":      claim(comment, func(e *metav1.ManagedFieldsEntry) { e.Manager = "carol" }),
		"a claim on what is in a text":   claim(`{"f:spec": {"f:acknowledgement": {"f:comment": {"f:x": {}}}}}`),
		"a claim on what does not exist": claim(`{"f:spec": {"f:acknowledgement": {"f:x": {}}}}`),
		"no managers at all":             {{}},
	} {
		i++
		n := entry(t, ns, fmt.Sprintf("entry-%d", i))
		before := time.Now().Truncate(time.Second)
		allowed(t, what, func(ctx context.Context) error {
			if err := carol.Get(ctx, client.ObjectKeyFromObject(n), n); err != nil {
				return err
			}
			n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "seen", By: given("carol")}
			n.ManagedFields = slices.Concat(n.ManagedFields, fields)
			return carol.Update(ctx, n, client.FieldOwner("carol"))
		})
		a := n.Spec.Acknowledgement
		if a.By != "carol" || a.Time != nil && (a.Time.Time.Before(before) || a.Time.After(time.Now())) {
			t.Errorf("%s: acknowledged by %q at %v", what, a.By, a.Time)
		}
	}
}

// TestAcknowledgingByApplying: a manifest that holds the comment alone may be applied again.
func TestAcknowledgingByApplying(t *testing.T) {
	ns := k8s.Namespace(t)
	as(t, "carol", ns, "tocsin-acknowledger")
	for name, how := range map[string][]string{
		"by-the-client": {"apply", "-f", "-"}, "by-the-server": {"apply", "--server-side", "-f", "-"},
	} {
		n := entry(t, ns, name)
		manifest, err := json.Marshal(map[string]any{
			"apiVersion": "tocsin.dev/v1alpha1", "kind": "Notification", "metadata": map[string]any{"namespace": ns, "name": name},
			"spec": map[string]any{"acknowledgement": v1alpha1.Acknowledgement{Comment: "seen", By: given("carol")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var versions []string
		for range 2 {
			cluster.Eventually(t, "applying "+name, func(context.Context) error {
				out, err := kubectl(t, k8s, "carol", string(manifest), how...)
				if err != nil {
					return errors.New(out)
				}
				return nil
			})
			k8s.Get(t, n)
			versions = append(versions, n.ResourceVersion)
		}
		if a := n.Spec.Acknowledgement; a == nil || a.By != "carol" || (a.Time == nil) != older || versions[0] != versions[1] {
			t.Errorf("%s: it is %+v, versions %v", name, a, versions)
		}
	}
}

func TestWhatCannotFireAgainCannotBeQuietened(t *testing.T) {
	ns := k8s.Namespace(t)
	n := entry(t, ns, "entry")
	n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "seen", QuietUntilCleared: true}
	invalid(t, "quietening a test", "may be set where a condition has fired that can fire again", k8s.Client.Update(t.Context(), n))
}

// TestOlderServers: where the API server cannot write who it was, whoever it was may say so, and nobody else.
func TestOlderServers(t *testing.T) {
	t.Setenv(cluster.EmulatedVersion, "1.34") // the oldest that docs/operations.md names
	server, err := cluster.StartBare()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	overlay := t.TempDir()
	if err := before136(overlay); err != nil {
		t.Fatal(err)
	}
	if err := apply(server, overlay); err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(server.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "alice", Groups: []string{"system:masters"}}
	alice, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	made := func(by map[string]string) *v1alpha1.NotificationCondition {
		c := condition("default", "SingleRiskEvent")
		c.GenerateName, c.Name, c.Annotations = "c-", "", by
		return c
	}
	c, nobodys := made(map[string]string{v1alpha1.CreatorAnnotation: "alice"}), made(nil)
	forbidden(t, "making one in another's name", "must be alice, who creates the condition, or left out", func(ctx context.Context) error {
		return alice.Create(ctx, made(map[string]string{v1alpha1.CreatorAnnotation: "bob"}), client.DryRunAll)
	})
	allowed(t, "making one in one's own name", func(ctx context.Context) error { return alice.Create(ctx, c) })
	allowed(t, "making one in nobody's name", func(ctx context.Context) error { return alice.Create(ctx, nobodys) })
	for what, change := range map[string]func(){
		"taking it away": func() { c.Annotations = nil }, "taking it over": func() { c.Annotations[v1alpha1.CreatorAnnotation] = "bob" },
	} {
		forbidden(t, what, "may not be changed", func(ctx context.Context) error {
			if err := alice.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			change()
			return alice.Update(ctx, c)
		})
	}
	nobodys.Annotations = map[string]string{v1alpha1.CreatorAnnotation: "alice"}
	forbidden(t, "claiming it later", "may not be changed", func(ctx context.Context) error { return alice.Update(ctx, nobodys) })

	n := &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "entry"},
		Spec:       v1alpha1.NotificationSpec{Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"}},
	}
	if err := alice.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"", "bob"} {
		forbidden(t, "acknowledging as "+by, "spec.acknowledgement.by must be alice",
			acknowledging(alice, n, v1alpha1.Acknowledgement{Comment: "seen", By: by}))
	}
	allowed(t, "acknowledging", acknowledging(alice, n, v1alpha1.Acknowledgement{Comment: "seen", By: "alice"}))
}

// TestQuietSurvivesAKill: whether it was asked for before the manager was killed or afterwards.
func TestQuietSurvivesAKill(t *testing.T) {
	for name, before := range map[string]bool{"asked for before": true, "asked for while nobody was there": false} {
		t.Run(name, func(t *testing.T) {
			if !before {
				stampsOnly(t) // elsewhere it is asked for when Tocsin sees it
			}
			ns := k8s.Namespace(t)
			c := condition(ns, "SingleRiskEvent")
			c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
			c.Spec.Threshold = &v1alpha1.Threshold{Window: "10m"}
			first := start(t)
			k8s.Create(t, c)
			awaitReady(t, c)
			k8s.Create(t, detection(ns, "ws"))
			n := awaitState(t, ns, 1, v1alpha1.ReasonLogged)[0]
			ask := commenting(t, as(t, "carol", ns, "tocsin-acknowledger"), &n,
				v1alpha1.Acknowledgement{Comment: "on it", By: given("carol"), QuietUntilCleared: true})
			if before {
				allowed(t, "asking", ask)
				k8s.Until(t, &n, func() error {
					if !n.Status.Acknowledged {
						return errors.New("not heeded")
					}
					return nil
				})
			}
			first.kill()
			if !before {
				allowed(t, "asking", ask)
			}
			k8s.Create(t, detection(ns, "ws"))
			start(t)
			k8s.Until(t, c, func() error {
				if c.Status.MatchedTotal != 2 || c.Status.HeldTotal != 1 || c.Status.FiredTotal != 1 {
					return fmt.Errorf("%d matched, %d held, %d fired", c.Status.MatchedTotal, c.Status.HeldTotal, c.Status.FiredTotal)
				}
				return nil
			})
			k8s.Get(t, &n)
			if d := c.Status.Dampers[0]; d.Quiet == nil || !d.Quiet.Since.Equal(n.Status.AcknowledgedTime) {
				t.Errorf("it is %+v, want quiet since %v", d.Quiet, n.Status.AcknowledgedTime)
			}
			awaitState(t, ns, 1, v1alpha1.ReasonLogged)
		})
	}
}
