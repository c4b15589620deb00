// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// vault holds one Secret, of a version, or an error instead.
type vault struct {
	version string
	err     error
}

func (v *vault) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if v.err != nil {
		return v.err
	}
	into.(*corev1.Secret).Data = map[string][]byte{"username": []byte("tocsin"), "password": []byte("p4ssword")}
	into.SetResourceVersion(v.version)
	return nil
}

func (*vault) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("Secrets are read by name")
}

// What waits for another attempt is sent at once when the revision changes. An API server that has hiccups must not do that.
func TestRevisionStaysWhileASecretCannotBeRead(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Resource: "secrets"}
	v := &vault{}
	channel := mailChannel("mail")
	channel.Spec.Email.Auth = &v1alpha1.MailAuth{SecretRef: v1alpha1.SecretReference{Name: "login"}}
	channel.Generation = 1
	seen := ""
	for _, tc := range []struct {
		name    string
		vault   vault
		edited  bool
		changes bool
	}{
		{"at first", vault{version: "7"}, false, true},
		{"the API server does not answer", vault{err: context.DeadlineExceeded}, false, false},
		{"again", vault{version: "7"}, false, false},
		{"the right is missing", vault{err: apierrors.NewForbidden(resource, "login", nil)}, false, false},
		{"meanwhile the channel was edited", vault{err: context.DeadlineExceeded}, true, true},
		{"and the Secret is the same", vault{version: "7"}, false, false},
		{"the Secret is another", vault{version: "8"}, false, true},
		{"it does not exist", vault{err: apierrors.NewNotFound(resource, "login")}, false, true},
		{"nor now, as far as one can see", vault{err: context.DeadlineExceeded}, false, false},
	} {
		*v = tc.vault
		if tc.edited {
			channel.Generation++
		}
		secrets, err := Credentials{Reader: v}.Read(t.Context(), channel)
		if (err != nil) != (tc.vault.err != nil) {
			t.Fatalf("%s: %v", tc.name, err)
		}
		describe(channel, gathered{secrets: secrets}, status.Verdict{Ready: true, Reason: v1alpha1.ReasonReady}, time.Time{})
		if got := channel.Status.Revision; (got != seen) != tc.changes {
			t.Errorf("%s: the revision was %q and is %q", tc.name, seen, got)
		}
		seen = channel.Status.Revision
	}
}
