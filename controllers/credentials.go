// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Credentials reads logins from Secrets, by name and each time anew, so that nothing secret stays in memory and a rotated
// password is used at once.
type Credentials struct {
	// Reader must not cache.
	Reader client.Reader
}

// Login is a user name and a password, and the version of the Secret they came from.
type Login struct{ Username, Password, Version string }

// CredentialsError says what is wrong with a Secret's content. It never holds any of it.
type CredentialsError struct{ Secret, Key string }

func (e *CredentialsError) Error() string {
	return fmt.Sprintf("Secret %q lacks the key %q, or it is empty; a Secret of type %s has the keys %s and %s",
		e.Secret, e.Key, corev1.SecretTypeBasicAuth, corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
}

// Read returns the login that a channel names. The error is a NotFound of the API, a *CredentialsError, or what kept the
// Secret from being read.
func (c Credentials) Read(ctx context.Context, namespace string, auth *v1alpha1.MailAuth) (Login, error) {
	name := auth.SecretRef.Name
	secret := &corev1.Secret{}
	if err := c.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		return Login{}, fmt.Errorf("reading Secret %q: %w", name, err)
	}
	login := Login{
		Username: string(secret.Data[corev1.BasicAuthUsernameKey]),
		Password: string(secret.Data[corev1.BasicAuthPasswordKey]),
		Version:  secret.ResourceVersion,
	}
	switch {
	case login.Username == "":
		return Login{Version: login.Version}, &CredentialsError{Secret: name, Key: corev1.BasicAuthUsernameKey}
	case login.Password == "":
		return Login{Version: login.Version}, &CredentialsError{Secret: name, Key: corev1.BasicAuthPasswordKey}
	}
	return login, nil
}

func asCredentialsError(err error, target **CredentialsError) bool { return errors.As(err, target) }
