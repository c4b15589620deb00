// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// as returns a client that acts as a user who has a role in a namespace.
func as(t *testing.T, user, ns, role string) client.Client {
	t.Helper()
	k8s.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	})
	config := rest.CopyConfig(k8s.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// forbidden tries until the attempt is refused: a policy takes effect a moment after it is created.
func forbidden(t *testing.T, what, want string, attempt func(context.Context) error) {
	t.Helper()
	cluster.Eventually(t, what, func(ctx context.Context) error {
		err := attempt(ctx)
		switch {
		case err == nil:
			return errors.New("was allowed")
		case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want):
			return err
		}
		return nil
	})
}

func allowed(t *testing.T, what string, attempt func(context.Context) error) {
	t.Helper()
	cluster.Eventually(t, what, attempt)
}

func TestReporterMayCreateEventsAndNothingElse(t *testing.T) {
	ns := k8s.Namespace(t)
	reporter := as(t, "sensor", ns, "tocsin-reporter")
	allowed(t, "creating an event", func(ctx context.Context) error { return reporter.Create(ctx, detection(ns, "ws")) })
	forbidden(t, "reading events", "cannot list", func(ctx context.Context) error {
		return reporter.List(ctx, &v1alpha1.SecurityEventList{}, client.InNamespace(ns))
	})
	forbidden(t, "creating a condition", "cannot create", func(ctx context.Context) error {
		return reporter.Create(ctx, condition(ns, "SingleRiskEvent"))
	})
}

// forged is an entry of the log as the manager would write it.
func forged(ns string) *v1alpha1.Notification {
	return &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "forged-"},
		Spec: v1alpha1.NotificationSpec{
			Type: "RiskOutbreak",
			Condition: &v1alpha1.ConditionSnapshot{Name: "c", UID: "u",
				Threshold: v1alpha1.EffectiveThreshold{Count: 1, Window: "1m", Scope: v1alpha1.ScopeAnyComputer}},
			Trigger: &v1alpha1.Trigger{Reason: v1alpha1.TriggerThresholdReached, Sequence: 1, Time: metav1.Now()},
		},
	}
}

// everything is a role with all rights.
var everything = []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}

// TestOwnerOfANamespaceCannotForgeTheLog: neither with a Role nor with a ClusterRole, if they have them in a namespace.
func TestOwnerOfANamespaceCannotForgeTheLog(t *testing.T) {
	ns := k8s.Namespace(t)
	all := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: ns + "-everything"}, Rules: everything}
	k8s.Create(t, all,
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "everything"}, Rules: everything},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "everything"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "everything"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "owner"}},
		})
	for name, owner := range map[string]client.Client{
		"with a Role": as(t, "owner", ns, "tocsin-viewer"), "with a ClusterRole": as(t, "other-owner", ns, all.Name),
	} {
		forbidden(t, name, "only Tocsin writes other entries", func(ctx context.Context) error {
			return owner.Create(ctx, forged(ns), client.DryRunAll)
		})
	}

	user := ns + "-administrator" // the check lets those through who have the verb everywhere
	k8s.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: all.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: all.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	})
	administrator := as(t, user, ns, "tocsin-viewer")
	allowed(t, "with a ClusterRoleBinding", func(ctx context.Context) error {
		return administrator.Create(ctx, forged(ns), client.DryRunAll)
	})
}

// TestNothingIsAcknowledgedWhenItIsCreated: whoever creates it.
func TestNothingIsAcknowledgedWhenItIsCreated(t *testing.T) {
	ns := k8s.Namespace(t)
	for name, user := range map[string]client.Client{"carol": as(t, "carol", ns, "tocsin-admin"), "": k8s.Client} {
		for _, by := range []string{"", name, "dave"} {
			forbidden(t, name+" creates it acknowledged by "+by, "may not be set on a new notification", func(ctx context.Context) error {
				n := &v1alpha1.Notification{
					ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "test-"},
					Spec: v1alpha1.NotificationSpec{
						Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
						Acknowledgement: &v1alpha1.Acknowledgement{Comment: "seen", By: by},
					},
				}
				return user.Create(ctx, n, client.DryRunAll)
			})
		}
	}
}

func TestEditorCannotForgeTheLog(t *testing.T) {
	ns := k8s.Namespace(t)
	editor := as(t, "forger", ns, "tocsin-editor")
	forbidden(t, "forging an entry", "only Tocsin writes other entries", func(ctx context.Context) error {
		return editor.Create(ctx, forged(ns), client.DryRunAll)
	})
	forbidden(t, "forging an outcome", "notifications/status", func(ctx context.Context) error {
		n := forged(ns)
		n.Name = "any"
		return editor.Status().Update(ctx, n)
	})
	for _, label := range []string{"tocsin.dev/day", "channel.tocsin.dev/mail"} {
		forbidden(t, "labelling a test "+label, "metadata.labels may not be changed", func(ctx context.Context) error {
			return editor.Create(ctx, &v1alpha1.Notification{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "test-", Labels: map[string]string{label: ""}},
				Spec: v1alpha1.NotificationSpec{
					Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
				},
			}, client.DryRunAll)
		})
	}
	forbidden(t, "annotating a test for Tocsin", "metadata.annotations may not be changed", func(ctx context.Context) error {
		n := forged(ns)
		n.Annotations = map[string]string{"tocsin.dev/any": ""}
		n.Spec = v1alpha1.NotificationSpec{
			Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
		}
		return editor.Create(ctx, n, client.DryRunAll)
	})
	allowed(t, "testing a channel", func(ctx context.Context) error {
		return editor.Create(ctx, &v1alpha1.Notification{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "test-"},
			Spec: v1alpha1.NotificationSpec{
				Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
			},
		})
	})
}

func TestAcknowledgerMayAcknowledgeAndChangeNothingElse(t *testing.T) {
	ns := k8s.Namespace(t)
	acknowledger := as(t, "acknowledger", ns, "tocsin-acknowledger")
	n := &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "entry", Annotations: map[string]string{"example.com/ticket": "1"}},
		Spec: v1alpha1.NotificationSpec{
			Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
		},
	}
	k8s.Create(t, n)
	for what, change := range map[string]func(){
		"metadata.labels may not be":                   func() { n.Labels = map[string]string{"tocsin.dev/severity": "Info"} },
		"metadata.annotations may not be: another":     func() { n.Annotations["example.com/other"] = "1" },
		"metadata.annotations may not be: one changed": func() { n.Annotations["example.com/ticket"] = "2" },
		"metadata.annotations may not be: all removed": func() { n.Annotations = nil },
		"metadata.ownerReferences may not be": func() {
			n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "gone", UID: "gone"}}
		},
		"metadata.finalizers may not be": func() { n.Finalizers = []string{"example.com/never"} },
	} {
		want, _, _ := strings.Cut(what, ":")
		forbidden(t, what, want, func(ctx context.Context) error {
			if err := acknowledger.Get(ctx, client.ObjectKeyFromObject(n), n); err != nil {
				return err
			}
			change()
			return acknowledger.Update(ctx, n, client.DryRunAll)
		})
	}
	allowed(t, "acknowledging", func(ctx context.Context) error {
		if err := acknowledger.Get(ctx, client.ObjectKeyFromObject(n), n); err != nil {
			return err
		}
		n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "seen", By: given("acknowledger")}
		return acknowledger.Update(ctx, n)
	})
}

func TestNamingASecretNeedsTheRightToReadIt(t *testing.T) {
	ns := k8s.Namespace(t)
	k8s.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "login"}})
	weak := as(t, "weak", ns, "tocsin-editor")
	named := channel(ns, 25)
	named.Spec.Email.Auth = &v1alpha1.MailAuth{SecretRef: v1alpha1.SecretReference{Name: "login"}}
	forbidden(t, "naming a Secret", "spec.email.auth.secretRef names a Secret that you may not read", func(ctx context.Context) error {
		return weak.Create(ctx, named.DeepCopy(), client.DryRunAll)
	})
	plain := channel(ns, 25)
	allowed(t, "creating a channel without one", func(ctx context.Context) error { return weak.Create(ctx, plain.DeepCopy()) })
	forbidden(t, "naming it later", "spec.email.auth.secretRef", func(ctx context.Context) error {
		if err := weak.Get(ctx, client.ObjectKeyFromObject(plain), plain); err != nil {
			return err
		}
		plain.Spec.Email.Auth = named.Spec.Email.Auth
		return weak.Update(ctx, plain)
	})

	k8s.Create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "login-reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"login"}, Verbs: []string{"get"}},
	}}, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "login-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "login-reader"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "weak"}},
	})
	allowed(t, "naming it with the right to read it", func(ctx context.Context) error {
		if err := weak.Get(ctx, client.ObjectKeyFromObject(plain), plain); err != nil {
			return err
		}
		plain.Spec.Email.Auth = named.Spec.Email.Auth
		return weak.Update(ctx, plain)
	})
}

func TestManagerMayNotListSecrets(t *testing.T) {
	config := rest.CopyConfig(k8s.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: serviceAccount}
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing Secrets ended with %v", err)
	}
}
