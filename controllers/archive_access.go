// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive/serve"
)

// archiveAccess lets those read the archive who may read the notifications in the cluster: it asks the API server whose a
// token is, and what he may. Nothing of that is out of a cache: a namespace that was made anew is another's at once.
//
// Only a token that it accepted is believed for a moment, see serve.Tokens.
type archiveAccess struct {
	client client.Client
	tokens *serve.Tokens
}

// accessRequests is how many requests a second readers may cause, with accessBurst at once: those of the manager's own work
// are not counted with them.
const (
	accessRequests = 200
	accessBurst    = 400
)

func newArchiveAccess(mgr ctrl.Manager, now func() time.Time) (archiveAccess, error) {
	config := rest.CopyConfig(mgr.GetConfig())
	config.QPS, config.Burst, config.RateLimiter = accessRequests, accessBurst, nil
	c, err := client.New(config, client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return archiveAccess{}, fmt.Errorf("making a client for the archive's readers: %w", err)
	}
	return archiveAccess{c, serve.NewTokens(review(c), now)}, nil
}

// Check asks the API server who it is; what he may is asked once he has his place.
func (a archiveAccess) Check(ctx context.Context, token, namespace, name string) (serve.Reader, error) {
	user, err := a.tokens.Whose(ctx, token)
	if err != nil {
		return serve.Reader{}, err
	}
	return serve.Reader{Name: tenant(user.Username), May: func(ctx context.Context) (time.Time, error) {
		return a.may(ctx, user, namespace, name)
	}}, nil
}

// may says from when on a user may read. Whoever may read the notifications of all namespaces reads all of the archive.
// Whoever may read those of one reads what was created since there is this one: what is older under its name is of one that is
// gone, and may have been another's.
func (a archiveAccess) may(ctx context.Context, user *authenticationv1.UserInfo, namespace, name string) (from time.Time, err error) {
	request := authorizationv1.ResourceAttributes{Group: v1alpha1.Group, Resource: "notifications", Verb: "list", Name: name}
	if name != "" {
		request.Verb = "get"
	}
	everywhere, err := a.allowed(ctx, user, request)
	if err != nil || everywhere {
		return time.Time{}, err
	}
	forbidden := fmt.Errorf("%w: %s may not %s notifications.%s in all namespaces",
		serve.ErrForbidden, user.Username, request.Verb, v1alpha1.Group)
	if namespace == "" {
		return time.Time{}, forbidden
	}
	request.Namespace = namespace
	here, err := a.allowed(ctx, user, request)
	switch {
	case err != nil:
		return time.Time{}, err
	case !here:
		return time.Time{}, fmt.Errorf("%w: %s may not %s notifications.%s in namespace %s",
			serve.ErrForbidden, user.Username, request.Verb, v1alpha1.Group, namespace)
	}
	created, found, err := a.created(ctx, namespace)
	if err == nil && !found {
		err = fmt.Errorf("%w, and there is no namespace %s", forbidden, namespace)
	}
	return created, err
}

// review asks the API server whose a token is. One that is not for the archive is refused, whoever's it is: nobody is to send
// one that opens the API server.
func review(c client.Client) serve.Review {
	return func(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{serve.Audience}}}
		if err := c.Create(ctx, review); err != nil {
			return nil, fmt.Errorf("asking the API server whose a token is: %w", err)
		}
		if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, serve.Audience) {
			return nil, fmt.Errorf("%w: it must be one of a service account for the audience %s, and not have expired",
				serve.ErrUnknown, serve.Audience)
		}
		return &review.Status.User, nil
	}
}

// allowed says whether a user may do something.
func (a archiveAccess) allowed(ctx context.Context, user *authenticationv1.UserInfo,
	what authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extraOf(user.Extra), ResourceAttributes: &what,
	}}
	if err := a.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking the API server what %s may: %w", user.Username, err)
	}
	return review.Status.Allowed, nil
}

// created says when a namespace was created, if there is one. It lists, which the manager may.
func (a archiveAccess) created(ctx context.Context, namespace string) (at time.Time, found bool, err error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := a.client.List(ctx, list, client.MatchingFields{metav1.ObjectNameField: namespace}); err != nil {
		return time.Time{}, false, fmt.Errorf("asking the API server for a namespace: %w", err)
	}
	if len(list.Items) != 1 {
		return time.Time{}, false, nil
	}
	return list.Items[0].CreationTimestamp.Time, true, nil
}

// tenant is who shares what the archive does for one reader: a user, or all accounts of a namespace, as its owner may make as
// many as he likes.
func tenant(user string) string {
	if account, is := strings.CutPrefix(user, "system:serviceaccount:"); is {
		namespace, _, _ := strings.Cut(account, ":")
		return "system:serviceaccounts:" + namespace
	}
	return user
}

func extraOf(extra map[string]authenticationv1.ExtraValue) map[string]authorizationv1.ExtraValue {
	same := make(map[string]authorizationv1.ExtraValue, len(extra))
	for key, value := range extra {
		same[key] = authorizationv1.ExtraValue(value)
	}
	return same
}
