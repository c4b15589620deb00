// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/archive/serve"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// TestArchive runs managers with an archive on a cluster of their own.
func TestArchive(t *testing.T) {
	t.Parallel()
	c, err := cluster.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error("stopping the control plane:", err)
		}
	})
	s := &store{Cluster: c}
	database, err := archive.New("sqlite://" + filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	stop := s.lead(t, controllers.Options{Archive: database, ArchiveAddress: address})

	namespace := s.Namespace(t)
	outbreak := condition(namespace, "single", "SingleRiskEvent")
	s.Create(t, outbreak)
	awaitConditionIn(t, c, outbreak, v1alpha1.ReasonReady)
	s.Create(t, detection(namespace, "ws-042", "Worm"))
	n := awaitNotificationsIn(t, c, namespace, 1, v1alpha1.ReasonLogged)[0]
	archived := func(what string, check func(*v1alpha1.Notification) error) {
		t.Helper()
		cluster.Eventually(t, what, func(ctx context.Context) error {
			entry, err := database.Get(ctx, namespace, n.Name)
			if err != nil {
				return err
			}
			return check(entry)
		})
	}
	archived("what is finished is archived", func(*v1alpha1.Notification) error { return nil })
	s.Change(t, &n, func() { n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "looked into"} })
	archived("so is what somebody acknowledges", func(entry *v1alpha1.Notification) error {
		if entry.Spec.Acknowledgement == nil {
			return errors.New("it is not acknowledged")
		}
		return nil
	})
	older := n
	older.Name, older.UID = "of-another", "of-another"
	older.CreationTimestamp = metav1.NewTime(older.CreationTimestamp.Add(-time.Hour)) // when this namespace was not there yet
	older.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "looked into"}
	gone := older
	gone.Namespace, gone.Name, gone.UID = "gone", "of-nobody", "of-nobody"
	entries := []archive.Entry{entryOf(t, &older), entryOf(t, &gone)}
	if err := database.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	t.Run("readers", func(t *testing.T) { testReaders(t, s, "https://"+address, namespace, n.Name) })
	stop()
	if err := s.Client.Delete(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	if _, err := database.Get(t.Context(), namespace, n.Name); err != nil {
		t.Errorf("what is deleted is not in the archive: %v", err)
	}
}

func entryOf(t *testing.T, n *v1alpha1.Notification) archive.Entry {
	t.Helper()
	e, err := archive.NewEntry(n)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// apiAudience is that of the API server's own tokens.
const apiAudience = "https://kubernetes.default.svc"

// testReaders asks as several accounts, with tokens for several audiences. The archive has a notification of the namespace,
// the older one of-another of one that bore its name before, and of-nobody of the namespace gone, which is gone.
func testReaders(t *testing.T, s *store, server, namespace, name string) {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "log-reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.Group}, Resources: []string{"notifications"}, Verbs: []string{"get", "list"}},
	}}
	here := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "here"}}
	stranger := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stranger"}}
	everywhere := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "everywhere"}}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}
	subject := func(a *corev1.ServiceAccount) []rbacv1.Subject {
		return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: a.Namespace, Name: a.Name}}
	}
	s.Create(t, role, here, stranger, everywhere,
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "here"}, RoleRef: ref, Subjects: subject(here)},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "everywhere"}, RoleRef: ref, Subjects: subject(everywhere)})
	token := func(a *corev1.ServiceAccount, audiences ...string) string {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
		if err := s.Client.SubResource("token").Create(t.Context(), a, request); err != nil {
			t.Fatal(err)
		}
		return request.Status.Token
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	ask := func(token, path string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(serve.TokenHeader, token)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	list, all := serve.ListPath+"?namespace="+namespace, serve.ListPath
	one := serve.ListPath + "/" + namespace + "/" + name
	filtered := list + "&filter=" + url.QueryEscape(`{"acknowledged":true,"computers":["WS-*"],"text":"worm"}`)
	for _, c := range []struct {
		name, token, path string
		code              int
		says, saysNot     string
	}{
		{"no token", "", list, 401, serve.Audience, ""},
		{"nonsense", "x", list, 401, serve.Audience, ""},
		{"a token that opens the API server", token(everywhere), list, 401, serve.Audience, ""},
		{"a token that opens the API server as well", token(everywhere, serve.Audience, apiAudience), list, 401, serve.Audience, ""},
		{"somebody without rights", token(stranger, serve.Audience), list, 403, "may not list notifications.tocsin.dev in namespace " + namespace, ""},
		{"somebody without rights, one entry", token(stranger, serve.Audience), one, 403, "may not get", ""},
		{"a reader of the namespace", token(here, serve.Audience), list, 200, name, "of-another"},
		{"a reader of the namespace, one entry", token(here, serve.Audience), one, 200, `"kind":"Notification"`, ""},
		{"a reader of the namespace, with a filter", token(here, serve.Audience), filtered, 200, name, "of-another"},
		{"a reader of the namespace, elsewhere", token(here, serve.Audience), serve.ListPath + "?namespace=default", 403, "namespace default", ""},
		{"a reader of the namespace, everywhere", token(here, serve.Audience), all, 403, "in all namespaces", ""},
		{"a reader of the cluster", token(everywhere, serve.Audience), all, 200, `"kind":"NotificationList"`, ""},
		{"an entry that is not there", token(everywhere, serve.Audience), serve.ListPath + "/default/nothing", 404, "no such notification", ""},
		{"a filter with a wrong field", token(here, serve.Audience), list + "&filter=" + url.QueryEscape(`{"colour":"red"}`), 400, "colour", ""},
		{"a page that is too long", token(here, serve.Audience), list + "&limit=100000", 400, "limit", ""},
		{"a reader of the namespace, an entry of one before", token(here, serve.Audience), serve.ListPath + "/" + namespace + "/of-another", 404,
			"no such notification", "looked into"},
		{"a reader of the namespace, the oldest first", token(here, serve.Audience), list + "&order=oldest", 200, name, "of-another"},
		{"a reader of a namespace that is gone", token(here, serve.Audience), serve.ListPath + "?namespace=gone", 403, "namespace gone", "of-nobody"},
		{"a reader of the cluster, the namespace", token(everywhere, serve.Audience), list, 200, "of-another", ""},
		{"a reader of the cluster, an entry of one before", token(everywhere, serve.Audience), serve.ListPath + "/" + namespace + "/of-another", 200,
			"looked into", ""},
		{"a reader of the cluster, a namespace that is gone", token(everywhere, serve.Audience), serve.ListPath + "?namespace=gone", 200,
			"of-nobody", ""},
		{"no order", token(everywhere, serve.Audience), list + "&order=random", 400, "order", ""},
	} {
		code, body := ask(c.token, c.path)
		if code != c.code {
			t.Errorf("%s: the answer is %d, want %d: %s", c.name, code, c.code, body)
		}
		contains(t, body, c.says)
		if c.saysNot != "" && strings.Contains(body, c.saysNot) {
			t.Errorf("%s: %q is shown: %s", c.name, c.saysNot, body)
		}
		if code >= 400 {
			var status metav1.Status
			if err := json.Unmarshal([]byte(body), &status); err != nil || status.Kind != "Status" || int(status.Code) != code {
				t.Errorf("%s: it is no answer of Kubernetes': %v: %s", c.name, err, body)
			}
		}
	}
	response, err := client.Post(server+all, "application/json", nil)
	if err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Error(fmt.Sprint("something can be written: ", response, err))
	}
	if err == nil {
		_ = response.Body.Close()
	}
}
