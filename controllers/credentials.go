// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/tlsconfig"
)

// Credentials reads the Secrets and ConfigMaps that a channel names, by name and each time anew, so that nothing secret stays
// in memory and what is rotated is used at once.
type Credentials struct {
	// Reader must not cache.
	Reader client.Reader
}

// Secrets is what they hold. What the channel does not name is nil.
type Secrets struct {
	Login       *smtp.Login
	Roots       *x509.CertPool
	Certificate *tls.Certificate
	DKIMKey     crypto.Signer
	// Version changes when any of them does. It is empty if the channel names none.
	Version string
	// Unread: not all of them could be read, so that the Version says nothing.
	Unread bool
}

// Format keeps them out of whatever they are printed into.
func (s Secrets) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "secrets of version %q", s.Version)
}

// CredentialsError says what is wrong with what a channel names. It never holds any of it.
type CredentialsError struct {
	// Reason of the Ready condition.
	Reason string
	// Message names each field, and says what would be right.
	Message string
}

func (e *CredentialsError) Error() string { return e.Message }

// tokenKey is the key of a Secret for the mechanism XOAUTH2, instead of the password's.
const tokenKey = "token"

// Read returns what the channel's Secrets and ConfigMaps hold. The error is a *CredentialsError, which tells of all of them;
// the Version is set all the same.
func (c Credentials) Read(ctx context.Context, channel *v1alpha1.NotificationChannel) (Secrets, error) {
	transport, field := channel.Spec.Transport(), settingsField(channel)
	if transport == nil {
		return Secrets{}, nil
	}
	r := &reading{reader: c.Reader, namespace: channel.Namespace, versions: sha256.New()}
	var s Secrets
	if transport.Auth != nil {
		s.Login = r.login(ctx, field+".auth.secretRef", transport.Auth)
	}
	if t := transport.TLS; t != nil && t.CARef != nil {
		s.Roots = r.roots(ctx, field+".tls.caRef", t.CARef)
	}
	if t := transport.TLS; t != nil && t.ClientCertificateRef != nil {
		s.Certificate = r.certificate(ctx, field+".tls.clientCertificateRef", t.ClientCertificateRef.Name)
	}
	if email := channel.Spec.Email; email != nil && email.DKIM != nil {
		s.DKIMKey = r.signingKey(ctx, "spec.email.dkim.secretRef", email.DKIM.SecretRef.Name)
	}
	s.Unread = r.unread
	if r.named {
		s.Version = fmt.Sprintf("%x", r.versions.Sum(nil)[:8])
	}
	if len(r.messages) > 0 {
		return s, &CredentialsError{Reason: r.reason, Message: strings.Join(r.messages, "; ")}
	}
	return s, nil
}

// settingsField names the field with the settings of a channel.
func settingsField(channel *v1alpha1.NotificationChannel) string {
	return "spec." + strings.ToLower(string(channel.Spec.Type))
}

// reading is one Read under way.
type reading struct {
	reader    client.Reader
	namespace string
	// named: there was something to read. versions are those of all of it.
	named    bool
	versions hash.Hash
	// unread: what there is of something is not known.
	unread bool
	// reason is of the first thing that is wrong; messages tell all.
	reason   string
	messages []string
}

func (r *reading) refuse(reason, field, format string, args ...any) {
	if r.reason == "" {
		r.reason = reason
	}
	r.messages = append(r.messages, "`"+field+"`: "+fmt.Sprintf(format, args...))
}

func (r *reading) get(ctx context.Context, field, kind, name string, into client.Object) bool {
	r.named = true
	err := r.reader.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		r.refuse(v1alpha1.ReasonSecretNotFound, field, "%s %q does not exist; create it in namespace %s", kind, name, r.namespace)
	case err != nil:
		r.unread = true
		r.refuse(v1alpha1.ReasonSecretUnreadable, field, "reading %s %q: %v", kind, name, err)
	}
	// What is not there is a version, too.
	_, _ = fmt.Fprintf(r.versions, "%s/%s@%s\n", kind, name, into.GetResourceVersion())
	return err == nil
}

func (r *reading) secret(ctx context.Context, field, name string) (map[string][]byte, bool) {
	secret := &corev1.Secret{}
	ok := r.get(ctx, field, "Secret", name, secret)
	return secret.Data, ok
}

// broken refuses a Secret or ConfigMap for what was found out about its content.
func (r *reading) broken(field, kind, name string, err error) {
	r.refuse(v1alpha1.ReasonSecretInvalid, field, "%s %q: %v", kind, name, err)
}

func (r *reading) login(ctx context.Context, field string, auth *v1alpha1.MailAuth) *smtp.Login {
	data, ok := r.secret(ctx, field, auth.SecretRef.Name)
	if !ok {
		return nil
	}
	proof, kind := corev1.BasicAuthPasswordKey, "a Secret of type "+string(corev1.SecretTypeBasicAuth)
	if auth.Mechanism == "XOAUTH2" {
		proof, kind = tokenKey, "a Secret for XOAUTH2"
	}
	for _, key := range []string{corev1.BasicAuthUsernameKey, proof} {
		if len(data[key]) == 0 {
			r.refuse(v1alpha1.ReasonSecretInvalid, field, "Secret %q lacks the key %q, or it is empty; %s has the keys %s and %s",
				auth.SecretRef.Name, key, kind, corev1.BasicAuthUsernameKey, proof)
			return nil
		}
	}
	return &smtp.Login{
		Mechanism: auth.Mechanism, AllowUnencrypted: auth.AllowUnencrypted,
		Username: string(data[corev1.BasicAuthUsernameKey]), Password: string(data[proof]),
	}
}

func (r *reading) roots(ctx context.Context, field string, ref *v1alpha1.KeyReference) *x509.CertPool {
	kind := "Secret"
	var value []byte
	var is, ok bool
	if ref.Kind == "ConfigMap" {
		kind = "ConfigMap"
		object := &corev1.ConfigMap{}
		ok = r.get(ctx, field, kind, ref.Name, object)
		var text string
		if text, is = object.Data[ref.Key]; is {
			value = []byte(text)
		} else {
			value, is = object.BinaryData[ref.Key]
		}
	} else {
		var data map[string][]byte
		data, ok = r.secret(ctx, field, ref.Name)
		value, is = data[ref.Key]
	}
	if !ok {
		return nil
	}
	if !is {
		r.refuse(v1alpha1.ReasonSecretInvalid, field, "%s %q lacks the key %q, which must hold CA certificates in PEM",
			kind, ref.Name, ref.Key)
		return nil
	}
	pool, err := tlsconfig.Roots(value)
	if err != nil {
		if wrong, ok := errors.AsType[*tlsconfig.Error](err); ok {
			wrong.Key = ref.Key
		}
		r.broken(field, kind, ref.Name, err)
		return nil
	}
	return pool
}

func (r *reading) certificate(ctx context.Context, field, name string) *tls.Certificate {
	data, ok := r.secret(ctx, field, name)
	if !ok {
		return nil
	}
	certificate, err := tlsconfig.ClientCertificate(data)
	if err != nil {
		r.broken(field, "Secret", name, err)
		return nil
	}
	return certificate
}

func (r *reading) signingKey(ctx context.Context, field, name string) crypto.Signer {
	data, ok := r.secret(ctx, field, name)
	if !ok {
		return nil
	}
	key, err := tlsconfig.SigningKey(data[tlsconfig.PrivateKeyKey])
	if err != nil {
		r.broken(field, "Secret", name, err)
		return nil
	}
	return key
}
