// SPDX-License-Identifier: Apache-2.0

// Package serve lets people and programs read the archive over HTTP. It answers with the kinds that the API server answers
// with, so that its clients understand it.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
)

const (
	// TokenHeader holds the reader's token. It is not Authorization, which the API server takes away from what it passes on.
	TokenHeader = "X-Tocsin-Token" //nolint:gosec // the name of the header, no token
	// Audience is what the token must be for, so that it is of no use elsewhere.
	Audience = "archive.tocsin.dev"
	// ListPath lists entries; with /NAMESPACE/NAME behind it, one.
	ListPath = "/v1/notifications"

	// queryTimeout is how long a query may take.
	queryTimeout = 30 * time.Second
	// atOnce is how many queries are worked on at once.
	atOnce = 4
	// maxFilter is the longest that a filter may be, in bytes of JSON.
	maxFilter = 256 << 10
)

// Access says who may read.
type Access interface {
	// Check returns nil if the bearer of the token may read a notification, or without a name all of the namespace, or
	// without a namespace all of the cluster. ErrUnknown and ErrForbidden are the reader's, other errors are ours.
	Check(ctx context.Context, token, namespace, name string) error
}

var (
	// ErrUnknown is that the token tells nobody.
	ErrUnknown = errors.New("the token is not accepted")
	// ErrForbidden is that its bearer may not read that.
	ErrForbidden = errors.New("forbidden")
)

type handler struct {
	store  archive.Store
	access Access
	now    func() time.Time
	turns  chan struct{}
}

// New returns what answers the requests.
func New(store archive.Store, access Access, now func() time.Time) http.Handler {
	h := &handler{store: store, access: access, now: now, turns: make(chan struct{}, atOnce)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+ListPath, h.answer(h.list))
	mux.HandleFunc("GET "+ListPath+"/{namespace}/{name}", h.answer(h.get))
	return mux
}

// answer lets in who may, one of few at a time, and writes what the question returns.
func (h *handler) answer(question func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		result, err := h.ask(r, question)
		code := http.StatusOK
		if err != nil {
			status := failure(err)
			code, result = int(status.Code), status
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(result) // a reader that has gone misses nothing
	}
}

func (h *handler) ask(r *http.Request, question func(*http.Request) (any, error)) (any, error) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	if name == "" {
		namespace = r.URL.Query().Get("namespace")
	}
	if err := h.access.Check(r.Context(), r.Header.Get(TokenHeader), namespace, name); err != nil {
		return nil, err
	}
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return question(r)
}

// list answers with a page. The parameters are namespace, filter (a NotificationFilter's spec as JSON), limit and continue.
func (h *handler) list(r *http.Request) (any, error) {
	parameters := r.URL.Query()
	q := archive.Query{Namespace: parameters.Get("namespace"), Continue: parameters.Get("continue"), Now: h.now()}
	if filter := parameters.Get("filter"); filter != "" {
		if len(filter) > maxFilter {
			return nil, fmt.Errorf("%w: filter: may be at most %d bytes long", archive.ErrQuery, maxFilter)
		}
		decoder := json.NewDecoder(strings.NewReader(filter))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&q.Filter); err != nil {
			return nil, fmt.Errorf("%w: filter: %w", archive.ErrQuery, err)
		}
	}
	if limit := parameters.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > archive.MaxPage {
			return nil, fmt.Errorf("%w: limit: must be a number from 1 to %d", archive.ErrQuery, archive.MaxPage)
		}
		q.Limit = n
	}
	page, err := h.store.Find(r.Context(), q)
	if err != nil {
		return nil, err
	}
	return &v1alpha1.NotificationList{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "NotificationList"},
		ListMeta: metav1.ListMeta{Continue: page.Continue}, Items: append([]v1alpha1.Notification{}, page.Notifications...),
	}, nil
}

func (h *handler) get(r *http.Request) (any, error) {
	return h.store.Get(r.Context(), r.PathValue("namespace"), r.PathValue("name"))
}

// failure tells what went wrong as the API server does. What is our own trouble is told without its details: they may be
// those of a database that the reader has nothing to do with.
func failure(err error) metav1.Status {
	s := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Message: err.Error(),
	}
	switch {
	case errors.Is(err, ErrUnknown):
		s.Code, s.Reason = http.StatusUnauthorized, metav1.StatusReasonUnauthorized
	case errors.Is(err, ErrForbidden):
		s.Code, s.Reason = http.StatusForbidden, metav1.StatusReasonForbidden
	case errors.Is(err, archive.ErrQuery):
		s.Code, s.Reason = http.StatusBadRequest, metav1.StatusReasonBadRequest
	case errors.Is(err, archive.ErrNotFound):
		s.Code, s.Reason = http.StatusNotFound, metav1.StatusReasonNotFound
	case errors.Is(err, context.DeadlineExceeded):
		s.Code, s.Reason = http.StatusGatewayTimeout, metav1.StatusReasonTimeout
		s.Message = fmt.Sprintf("the archive did not answer within %s: ask for a shorter time, or for less text", queryTimeout)
	default:
		s.Code, s.Reason = http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable
		s.Message = "the archive cannot be read now; the manager's log and the metric tocsin_archive_failures_total tell why"
	}
	return s
}
