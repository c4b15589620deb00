// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive/serve"
)

// archiveAccess lets those read the archive who may read the notifications in the cluster: it asks the API server whose a
// token is, and what he may.
type archiveAccess struct{ client client.Client }

// maxToken is longer than a token of a service account is.
const maxToken = 16 << 10

// Check asks the API server. A token that is not for the archive is refused, whoever's it is: nobody is to send one that
// opens the API server.
func (a archiveAccess) Check(ctx context.Context, token, namespace, name string) error {
	if token == "" || len(token) > maxToken {
		return fmt.Errorf("%w: the header %s must hold a token of a service account for the audience %s",
			serve.ErrUnknown, serve.TokenHeader, serve.Audience)
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{serve.Audience}}}
	if err := a.client.Create(ctx, review); err != nil {
		return fmt.Errorf("asking the API server whose a token is: %w", err)
	}
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, serve.Audience) {
		return fmt.Errorf("%w: it must be one of a service account for the audience %s, and not have expired",
			serve.ErrUnknown, serve.Audience)
	}
	verb := "list"
	if name != "" {
		verb = "get"
	}
	user := review.Status.User
	access := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extraOf(user.Extra),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.Group, Resource: "notifications", Verb: verb, Namespace: namespace, Name: name,
		},
	}}
	if err := a.client.Create(ctx, access); err != nil {
		return fmt.Errorf("asking the API server what %s may: %w", user.Username, err)
	}
	if !access.Status.Allowed {
		where := "namespace " + namespace
		if namespace == "" {
			where = "all namespaces"
		}
		return fmt.Errorf("%w: %s may not %s notifications.%s in %s", serve.ErrForbidden, user.Username, verb, v1alpha1.Group, where)
	}
	return nil
}

func extraOf(extra map[string]authenticationv1.ExtraValue) map[string]authorizationv1.ExtraValue {
	same := make(map[string]authorizationv1.ExtraValue, len(extra))
	for key, value := range extra {
		same[key] = authorizationv1.ExtraValue(value)
	}
	return same
}
