// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// grant gives a user one right in a namespace: a verb on a resource, and on objects of these names alone if there are any.
func grant(t *testing.T, ns, user, verb, resource string, names ...string) {
	t.Helper()
	resource, group, _ := strings.Cut(resource, ".")
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "right-"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: names,
		}},
	}
	k8s.Create(t, role)
	k8s.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	})
}

// program is an exec channel whose pods have this spec, with a container unless there is one.
func program(t *testing.T, ns, name, pod string) *v1alpha1.NotificationChannel {
	t.Helper()
	spec := map[string]any{}
	if err := json.Unmarshal([]byte(pod), &spec); err != nil {
		t.Fatalf("%v in %s", err, pod)
	}
	if spec["containers"] == nil {
		spec["containers"] = []any{map[string]any{"name": "program", "image": "example"}}
	}
	template, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		t.Fatal(err)
	}
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.NotificationChannelSpec{
			Type: v1alpha1.ChannelExec, Exec: &v1alpha1.ExecChannel{Template: runtime.RawExtension{Raw: template}},
		},
	}
}

// TestAnExecChannelNeedsTheRightsOfItsJobs gives a user one right after the other until the channel is taken.
func TestAnExecChannelNeedsTheRightsOfItsJobs(t *testing.T) {
	ns := k8s.Namespace(t)
	user := as(t, "programmer", ns, "tocsin-editor")
	c := program(t, ns, "program", `{"serviceAccountName": "robot",
		"volumes": [{"name": "a", "secret": {"secretName": "key"}}, {"name": "b", "configMap": {"name": "settings"}}]}`)
	for _, step := range []struct{ refusal, verb, resource, name string }{
		{"you may not create Jobs here", "create", "jobs.batch", ""},
		{"names the service account robot, as which you may not act", "impersonate", "serviceaccounts", "robot"},
		{"names the Secret key, which you may not read", "get", "secrets", "key"},
		{"names the ConfigMap settings, which you may not read", "get", "configmaps", "settings"},
	} {
		forbidden(t, "without the right to "+step.verb+" "+step.resource, step.refusal, func(ctx context.Context) error {
			return user.Create(ctx, c.DeepCopy(), client.DryRunAll)
		})
		names := []string{step.name}
		if step.name == "" {
			names = nil
		}
		grant(t, ns, "programmer", step.verb, step.resource, names...)
	}
	allowed(t, "with all rights", func(ctx context.Context) error { return user.Create(ctx, c.DeepCopy()) })

	weak := as(t, "bystander", ns, "tocsin-editor")
	change := func(how func(*v1alpha1.NotificationChannel)) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := weak.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			how(c)
			return weak.Update(ctx, c)
		}
	}
	allowed(t, "suspending it by somebody weaker", change(func(c *v1alpha1.NotificationChannel) {
		c.Spec.Suspend, c.Spec.Exec.Timeout = true, "5m"
		c.Labels = map[string]string{"team": "a"}
	}))
	forbidden(t, "another image by somebody weaker", "you may not create Jobs", change(func(c *v1alpha1.NotificationChannel) {
		c.Spec.Exec.Template.Raw = []byte(strings.ReplaceAll(string(c.Spec.Exec.Template.Raw), "example", "evil"))
	}))
	forbidden(t, "another service account by somebody weaker", "you may not create Jobs", change(func(c *v1alpha1.NotificationChannel) {
		c.Spec.Exec.Template.Raw = []byte(strings.ReplaceAll(string(c.Spec.Exec.Template.Raw), "robot", "root"))
	}))
}

// TestTheManagerMakesNoJobsButItsOwn: its token is good for no others.
func TestTheManagerMakesNoJobsButItsOwn(t *testing.T) {
	ns := k8s.Namespace(t)
	config := rest.CopyConfig(k8s.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: serviceAccount}
	manager, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	job := func(namespace string) *batchv1.Job {
		n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "n", UID: "0c7f9dd6-2f4b-4a3c-9a53-6a4f2a0f4f10"}}
		made, err := execjob.New(n, program(t, namespace, "program", `{}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	try := func(j *batchv1.Job) func(context.Context) error {
		return func(ctx context.Context) error { return manager.Create(ctx, j.DeepCopy(), client.DryRunAll) }
	}
	unmarked, free, foreign := job(ns), job(ns), job(ns)
	unmarked.Labels, free.OwnerReferences = map[string]string{"app": "other"}, nil
	foreign.OwnerReferences[0].APIVersion, foreign.OwnerReferences[0].Kind = "v1", "ConfigMap"
	allowed(t, "its own", try(job(ns)))
	forbidden(t, "without the label", "with the label tocsin.dev/notification-uid", try(unmarked))
	forbidden(t, "without an owner", "that belong to a Notification", try(free))
	forbidden(t, "of another owner", "that belong to a Notification", try(foreign))
	forbidden(t, "in kube-system", "no Jobs in kube-*", try(job("kube-system")))
	forbidden(t, "in its own namespace", "in its own namespace", try(job("tocsin-system")))

	other, mine := unmarked.DeepCopy(), job(ns)
	other.Name, mine.OwnerReferences = "other", nil
	k8s.Create(t, other)
	k8s.Create(t, mine)
	change := func(j *batchv1.Job, how func(*batchv1.Job)) func(context.Context) error {
		return func(ctx context.Context) error {
			after := j.DeepCopy()
			how(after)
			return manager.Patch(ctx, after, client.MergeFrom(j))
		}
	}
	forbidden(t, "changing another's", "with the label", change(other, func(j *batchv1.Job) { j.Labels = mine.Labels }))
	forbidden(t, "suspending one", "nothing of what they do", change(mine, func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }))
	allowed(t, "letting go of one", change(mine, func(j *batchv1.Job) { j.Finalizers = nil }))
}

// references are all the ways in which a pod's spec can name a Secret or ConfigMap called "it" and read it.
var references = map[string]string{
	"Secret, a volume":                     `{"volumes": [{"name": "v", "secret": {"secretName": "it"}}]}`,
	"Secret, a projected volume":           `{"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "it"}}]}}]}`,
	"Secret, a driver's volume":            `{"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "it"}}}]}`,
	"Secret, a CephFS volume":              `{"volumes": [{"name": "v", "cephfs": {"monitors": ["m"], "secretRef": {"name": "it"}}}]}`,
	"Secret, an iSCSI volume":              `{"volumes": [{"name": "v", "iscsi": {"targetPortal": "t", "secretRef": {"name": "it"}}}]}`,
	"Secret, an Azure volume":              `{"volumes": [{"name": "v", "azureFile": {"secretName": "it", "shareName": "s"}}]}`,
	"Secret, pulling images":               `{"imagePullSecrets": [{"name": "it"}]}`,
	"Secret, a variable":                   `{"containers": [{"env": [{"name": "A"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "it"}}}]}]}`,
	"Secret, all variables":                `{"containers": [{"envFrom": [{"secretRef": {"name": "it"}}]}]}`,
	"Secret, the second container":         `{"containers": [{}, {"envFrom": [{"secretRef": {"name": "it"}}]}]}`,
	"Secret, a container that comes first": `{"initContainers": [{"envFrom": [{"secretRef": {"name": "it"}}]}]}`,
	"Secret, also elsewhere":               `{"volumes": [{"name": "u", "emptyDir": {}}, {"name": "v", "secret": {"secretName": "it"}}]}`,
	"ConfigMap, a volume":                  `{"volumes": [{"name": "v", "configMap": {"name": "it"}}]}`,
	"ConfigMap, a projected volume":        `{"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "it"}}]}}]}`,
	"ConfigMap, a variable":                `{"containers": [{"env": [{"name": "B", "valueFrom": {"configMapKeyRef": {"name": "it"}}}]}]}`,
	"ConfigMap, all variables":             `{"initContainers": [{"envFrom": [{"configMapRef": {"name": "it"}}]}]}`,
}

func TestWhateverWayATemplateNamesASecretItMustBeReadable(t *testing.T) {
	ns := k8s.Namespace(t)
	weak, strong := as(t, "jobber", ns, "tocsin-editor"), as(t, "reader", ns, "tocsin-editor")
	for _, user := range []string{"jobber", "reader"} {
		grant(t, ns, user, "create", "jobs.batch")
	}
	grant(t, ns, "reader", "get", "secrets", "it")
	grant(t, ns, "reader", "get", "configmaps")
	for what, pod := range references {
		c, kind := program(t, ns, "program", pod), strings.Split(what, ",")[0]
		forbidden(t, what, "names the "+kind+" it, which you may not read", func(ctx context.Context) error {
			return weak.Create(ctx, c.DeepCopy(), client.DryRunAll)
		})
		allowed(t, what, func(ctx context.Context) error { return strong.Create(ctx, c.DeepCopy(), client.DryRunAll) })
	}
	for what, pod := range map[string]string{
		"nothing": `{}`, "the default service account": `{"serviceAccountName": "default"}`, "no account": `{"serviceAccountName": ""}`,
		"other volumes": `{"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/"}}]}`,
		"fields":        `{"containers": [{"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]}`,
	} {
		allowed(t, "naming "+what, func(ctx context.Context) error {
			return weak.Create(ctx, program(t, ns, "program", pod), client.DryRunAll)
		})
	}
	for what, pod := range map[string]string{
		"volumes that are a text":  `{"volumes": "it"}`,
		"volumes that are no list": `{"volumes": {"secret": {"secretName": "it"}}}`,
		"a volume that is a text":  `{"volumes": ["it"]}`,
		"a name that is a number":  `{"volumes": [{"name": "v", "secret": {"secretName": 5}}]}`,
		"a name that is a list":    `{"imagePullSecrets": [{"name": ["it"]}]}`,
		"an account that is none":  `{"serviceAccountName": {"name": "default"}}`,
		"the account's old name":   `{"serviceAccount": "robot"}`,
		"a name that is empty":     `{"serviceAccountName": "", "serviceAccount": "robot"}`,
	} {
		if err := weak.Create(t.Context(), program(t, ns, "program", pod), client.DryRunAll); err == nil {
			t.Errorf("%s: was allowed", what)
		}
	}
}

// TestATemplateWithManyNames: one name after the other can be asked about only so often.
func TestATemplateWithManyNames(t *testing.T) {
	ns := k8s.Namespace(t)
	weak, strong := as(t, "some", ns, "tocsin-editor"), as(t, "all", ns, "tocsin-editor")
	var eight, nine []string
	for i := range 9 {
		nine = append(nine, fmt.Sprintf("s%d", i))
	}
	eight = nine[:8]
	for _, user := range []string{"some", "all"} {
		grant(t, ns, user, "create", "jobs.batch")
		grant(t, ns, user, "impersonate", "serviceaccounts", "robot")
	}
	for _, resource := range []string{"secrets", "configmaps"} {
		grant(t, ns, "some", "get", resource, nine...)
		grant(t, ns, "all", "get", resource)
	}
	names := func(of []string) *v1alpha1.NotificationChannel {
		var sources []string
		for _, name := range slices.Concat(of, of) { // each is asked about once
			sources = append(sources, fmt.Sprintf(`{"secretRef": {"name": %q}}, {"configMapRef": {"name": %q}}`, name, name))
		}
		return program(t, ns, "program", fmt.Sprintf(`{"serviceAccountName": "robot", "containers": [{"envFrom": [%s]}]}`,
			strings.Join(sources, ", ")))
	}
	allowed(t, "eight of each", func(ctx context.Context) error { return weak.Create(ctx, names(eight), client.DryRunAll) })
	forbidden(t, "nine of each", "names more than 8 Secrets: that takes the right to get all", func(ctx context.Context) error {
		return weak.Create(ctx, names(nine), client.DryRunAll)
	})
	allowed(t, "nine of each, with the right to all", func(ctx context.Context) error {
		return strong.Create(ctx, names(nine), client.DryRunAll)
	})
	for resource, kind := range map[string]string{"secrets": "Secret", "configmaps": "ConfigMap"} {
		t.Run(resource, func(t *testing.T) { // whatever its place, each is asked about
			ns := k8s.Namespace(t)
			user := as(t, "some", ns, "tocsin-editor")
			grant(t, ns, "some", "create", "jobs.batch")
			grant(t, ns, "some", "impersonate", "serviceaccounts", "robot")
			grant(t, ns, "some", "get", "secrets", nine...)
			grant(t, ns, "some", "get", "configmaps", nine...)
			grant(t, ns, "some", "get", map[string]string{"secrets": "configmaps", "configmaps": "secrets"}[resource], "foreign")
			for i := range eight {
				one := slices.Clone(eight)
				one[i] = "foreign"
				c := names(one)
				c.Namespace = ns
				forbidden(t, fmt.Sprintf("one at place %d", i), "names the "+kind+" foreign, which you may not read", func(ctx context.Context) error {
					return user.Create(ctx, c.DeepCopy(), client.DryRunAll)
				})
			}
		})
	}
}

// secured are the Secrets and ConfigMaps that a mail channel can name.
func secured(ns string) map[string]*v1alpha1.NotificationChannel {
	with := func(set func(*v1alpha1.EmailChannel)) *v1alpha1.NotificationChannel {
		c := channel(ns, 25)
		set(c.Spec.Email)
		return c
	}
	ca := func(kind v1alpha1.KeyReferenceKind) *v1alpha1.NotificationChannel {
		return with(func(e *v1alpha1.EmailChannel) {
			e.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSRequired, CARef: &v1alpha1.KeyReference{Kind: kind, Name: "it", Key: "ca.crt"}}
		})
	}
	it := v1alpha1.SecretReference{Name: "it"}
	return map[string]*v1alpha1.NotificationChannel{
		"auth.secretRef names a Secret": with(func(e *v1alpha1.EmailChannel) { e.Auth = &v1alpha1.MailAuth{SecretRef: it} }),
		"tls.clientCertificateRef names a Secret": with(func(e *v1alpha1.EmailChannel) {
			e.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSRequired, ClientCertificateRef: &it}
		}),
		"tls.caRef names a Secret":    ca(""),
		"tls.caRef names a ConfigMap": ca("ConfigMap"),
		"dkim.secretRef names a Secret": with(func(e *v1alpha1.EmailChannel) {
			e.DKIM = &v1alpha1.DKIMSettings{Domain: "example.com", Selector: "s", SecretRef: it}
		}),
	}
}

// asSMS is an SMS channel with the same servers, encryption and login.
func asSMS(c *v1alpha1.NotificationChannel) *v1alpha1.NotificationChannel {
	sms := c.DeepCopy()
	sms.Spec.Type, sms.Spec.Email = v1alpha1.ChannelSMS, nil
	sms.Spec.SMS = &v1alpha1.SMSChannel{
		MailTransport: c.Spec.Email.MailTransport, GatewayDomain: "sms.example.com", Sender: "tocsin@example.com",
		Recipients: []v1alpha1.SMSRecipient{"+4915112345678"},
	}
	return sms
}

func TestAMailChannelNeedsTheRightToReadWhatItNames(t *testing.T) {
	ns := k8s.Namespace(t)
	weak, strong := as(t, "sender", ns, "tocsin-editor"), as(t, "keeper", ns, "tocsin-editor")
	for _, resource := range []string{"secrets", "configmaps"} {
		grant(t, ns, "keeper", "get", resource, "it")
	}
	try := func(field string, c *v1alpha1.NotificationChannel) {
		forbidden(t, field, field+" that you may not read", func(ctx context.Context) error {
			return weak.Create(ctx, c.DeepCopy(), client.DryRunAll)
		})
		allowed(t, field, func(ctx context.Context) error { return strong.Create(ctx, c.DeepCopy(), client.DryRunAll) })
	}
	for what, c := range secured(ns) {
		try("spec.email."+what, c)
		if c.Spec.Email.DKIM == nil {
			try("spec.sms."+what, asSMS(c))
		}
	}
}

// TestWhatAMailChannelHoldsMayBeUsedAsItIs: whoever may not read the login may not take it elsewhere, but change the rest.
func TestWhatAMailChannelHoldsMayBeUsedAsItIs(t *testing.T) {
	ns := k8s.Namespace(t)
	weak := as(t, "helper", ns, "tocsin-editor")
	c := channel(ns, 25)
	c.Spec.Email.Auth = &v1alpha1.MailAuth{SecretRef: v1alpha1.SecretReference{Name: "login"}}
	k8s.Create(t, c)
	change := func(how func(*v1alpha1.NotificationChannelSpec)) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := weak.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			how(&c.Spec)
			return weak.Update(ctx, c)
		}
	}
	for what, how := range map[string]func(*v1alpha1.NotificationChannelSpec){
		"another server":   func(s *v1alpha1.NotificationChannelSpec) { s.Email.Servers[0] = "evil.example.com" },
		"another port":     func(s *v1alpha1.NotificationChannelSpec) { *s.Email.Port = 26 },
		"another domain":   func(s *v1alpha1.NotificationChannelSpec) { s.Email.MXLookup = true },
		"no encryption":    func(s *v1alpha1.NotificationChannelSpec) { s.Email.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSNone} },
		"an open password": func(s *v1alpha1.NotificationChannelSpec) { s.Email.Auth.AllowUnencrypted = true },
		"another sender":   func(s *v1alpha1.NotificationChannelSpec) { s.Email.Sender = "ceo@example.com" },
	} {
		forbidden(t, what, "auth.secretRef names a Secret that you may not read", change(how))
	}
	for what, how := range map[string]func(*v1alpha1.NotificationChannelSpec){
		"suspending it":    func(s *v1alpha1.NotificationChannelSpec) { s.Suspend = true },
		"a limit":          func(s *v1alpha1.NotificationChannelSpec) { s.Limit = &v1alpha1.Limit{Count: 1, Interval: "1h"} },
		"other recipients": func(s *v1alpha1.NotificationChannelSpec) { s.Email.Recipients[0] = "helper@example.com" },
		"other texts":      func(s *v1alpha1.NotificationChannelSpec) { s.Email.Subject, s.Email.Message = "a", "b" },
	} {
		allowed(t, what, change(how))
	}
	allowed(t, "no login", change(func(s *v1alpha1.NotificationChannelSpec) { s.Email.Auth = nil }))
}
