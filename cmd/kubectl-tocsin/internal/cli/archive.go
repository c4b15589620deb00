// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// The words of internal/archive/serve, which would bring the databases along.
const (
	ArchiveTokenHeader = "X-Tocsin-Token" //nolint:gosec // the name of the header, no token
	ArchiveAudience    = "archive.tocsin.dev"
	ArchiveListPath    = "/v1/notifications"
)

const (
	// archiveService is the Service with its scheme and port, as the API server's proxy wants them.
	archiveService = "https:tocsin-archive:8443"
	// maxArchivePage is the most entries that the archive gives at once.
	maxArchivePage = 500
	// tokenSeconds is how long a token is good for: the shortest that the API server gives.
	tokenSeconds = 600
	// archiveHelp tells what a reader needs.
	archiveHelp = "docs/operations.md#reading-the-archive"
)

// archiveFlags have a verb read the manager's archive.
type archiveFlags struct {
	archive           bool
	operator, account string
}

func (f *archiveFlags) addFlags(a *App, c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&f.archive, "archive", false, "Read the manager's archive: what is finished, even if gone from the cluster")
	flags.StringVar(&f.operator, "operator-namespace", "tocsin-system", "Namespace of the manager, for --archive")
	flags.StringVar(&f.account, "archive-account", "tocsin-log-reader",
		"ServiceAccount to read the archive as: the namespace's, or else the one of that name in the manager's namespace")
	a.complete(c, "operator-namespace", a.namespaces)
}

// archiveReader asks the archive through the API server.
type archiveReader struct {
	archiveFlags
	server rest.Interface
	now    func() time.Time
	// namespace is what to read; empty for all.
	namespace string
	// sieve selects from what the archive gives, unless it is nil: selectors are nothing that an archive knows.
	sieve func(*v1alpha1.Notification) bool
	// order is the archive's word for the order of time; empty for the newest first.
	order string
	// turned is called after each page, unless it is nil.
	turned func() error
	// home is the namespace of the account that asks.
	home string
	// token shows who asks, and was made at the time made.
	token string
	made  time.Time
}

func (f *archiveFlags) reader(a *App, namespace string) (*archiveReader, error) {
	config, err := a.Server()
	if err != nil {
		return nil, err
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.QPS = -1 // one page after the other, and the archive says when it is too much
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	server, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, err
	}
	return &archiveReader{
		archiveFlags: *f, server: server, now: a.Now, namespace: namespace, home: cmp.Or(namespace, f.operator),
	}, nil
}

// each visits what the filter selects, in the reader's order, until there are enough; a negative number is never enough. It asks
// for at most chunk entries at once, if chunk is positive.
func (r *archiveReader) each(ctx context.Context, spec *v1alpha1.NotificationFilterSpec, enough int, chunk int64,
	visit func(*v1alpha1.Notification) error) error {
	parameters, err := r.parameters(spec)
	if err != nil {
		return err
	}
	for seen := 0; enough < 0 || seen < enough; {
		limit := maxArchivePage
		if chunk > 0 {
			limit = int(min(chunk, maxArchivePage))
		}
		if enough >= 0 && r.sieve == nil {
			limit = min(limit, enough-seen)
		}
		parameters["limit"] = strconv.Itoa(limit)
		var page v1alpha1.NotificationList
		if err := r.ask(ctx, ArchiveListPath, parameters, &page); err != nil {
			return err
		}
		visited, err := r.visit(&page, visit)
		if err != nil || page.Continue == "" {
			return err
		}
		seen += visited
		parameters["continue"] = page.Continue
	}
	return nil
}

// parameters are those of the first page.
func (r *archiveReader) parameters(spec *v1alpha1.NotificationFilterSpec) (map[string]string, error) {
	filter, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	parameters := map[string]string{"filter": string(filter)}
	if r.namespace != "" {
		parameters["namespace"] = r.namespace
	}
	if r.order != "" {
		parameters["order"] = r.order
	}
	return parameters, nil
}

// visit visits what the sieve leaves of a page, and returns how many these were.
func (r *archiveReader) visit(page *v1alpha1.NotificationList, visit func(*v1alpha1.Notification) error) (visited int, err error) {
	for i := range page.Items {
		if r.sieve != nil && !r.sieve(&page.Items[i]) {
			continue
		}
		if err := visit(&page.Items[i]); err != nil {
			return visited, err
		}
		visited++
	}
	if r.turned != nil {
		return visited, r.turned()
	}
	return visited, nil
}

// get reads one entry. Its namespace's account does not see it if it is older than the namespace; the manager's does.
func (r *archiveReader) get(ctx context.Context, name string) (*v1alpha1.Notification, error) {
	if wrong := content.IsPathSegmentName(name); name == "" || len(wrong) > 0 {
		return nil, fmt.Errorf("%q is no name of a notification", name)
	}
	var n v1alpha1.Notification
	at := ArchiveListPath + "/" + r.namespace + "/" + name
	err := r.ask(ctx, at, nil, &n)
	if apierrors.IsNotFound(err) && r.home != r.operator && r.standIn(ctx) == nil {
		err = r.ask(ctx, at, nil, &n)
	}
	if err != nil {
		return nil, err
	}
	return &n, nil
}

func (r *archiveReader) ask(ctx context.Context, at string, parameters map[string]string, answer runtime.Object) error {
	if err := r.renew(ctx); err != nil {
		return err
	}
	request := r.server.Get().Namespace(r.operator).Resource("services").Name(archiveService).SubResource("proxy").Suffix(at).
		SetHeader(ArchiveTokenHeader, r.token)
	for name, value := range parameters {
		request.Param(name, value)
	}
	return helpful(request.Do(ctx).Into(answer))
}

// renew has the API server make a token, anew when half of its time is over: a long log takes longer to read. A namespace that
// is gone has no account, and another may have none: then the manager's stands in, for those who may have its token.
func (r *archiveReader) renew(ctx context.Context) error {
	if r.token != "" && r.now().Sub(r.made) < tokenSeconds*time.Second/2 {
		return nil
	}
	err := r.makeToken(ctx)
	if (apierrors.IsNotFound(err) || apierrors.IsForbidden(err)) && r.home != r.operator && r.standIn(ctx) == nil {
		return nil
	}
	return helpful(err)
}

// standIn has the account of the manager's namespace ask from now on.
func (r *archiveReader) standIn(ctx context.Context) error {
	r.home = r.operator
	return r.makeToken(ctx)
}

func (r *archiveReader) makeToken(ctx context.Context) error {
	lifetime := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{ArchiveAudience}, ExpirationSeconds: &lifetime},
	}
	made := r.now()
	err := r.server.Post().Namespace(r.home).Resource("serviceaccounts").Name(r.account).SubResource("token").Body(request).
		Do(ctx).Into(request)
	if err != nil {
		return err
	}
	if request.Status.Token == "" {
		return fmt.Errorf("the API server made no token of ServiceAccount %s/%s", r.home, r.account)
	}
	r.token, r.made = request.Status.Token, made
	return nil
}

// helpful adds where to read on to an answer that rights, the account or the archive's Service are missing. That the archive
// has no such entry needs no help: it is the one answer without details.
func helpful(err error) error {
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		return err
	}
	missing := apierrors.IsNotFound(err) && status.ErrStatus.Details != nil
	if !missing && !apierrors.IsForbidden(err) {
		return err
	}
	told := *status
	told.ErrStatus.Message += "; " + archiveHelp + " tells what a reader needs"
	return &told
}

// absolute makes of a filter for now one that selects the same later: pages are asked for one after the other. Entries tell
// their time in whole seconds, and so does a filter as JSON.
func absolute(spec *v1alpha1.NotificationFilterSpec, now time.Time) (*v1alpha1.NotificationFilterSpec, error) {
	if _, err := logfilter.Compile(spec, now); err != nil {
		return nil, err
	}
	fixed := spec.DeepCopy()
	if back, err := time.ParseDuration(string(spec.Last)); err == nil {
		fixed.Last, fixed.Since = "", &metav1.Time{Time: now.Add(-back)}
	}
	for _, limit := range []*metav1.Time{fixed.Since, fixed.Until} {
		if limit != nil {
			limit.Time = limit.Add(time.Second - 1).Truncate(time.Second)
		}
	}
	return fixed, nil
}
