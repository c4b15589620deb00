// SPDX-License-Identifier: Apache-2.0

// Package serve lets people and programs read the archive over HTTP. It answers with the kinds that the API server answers
// with, so that its clients understand it.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

const (
	// TokenHeader holds the reader's token. It is not Authorization, which the API server takes away from what it passes on.
	TokenHeader = "X-Tocsin-Token" //nolint:gosec // the name of the header, no token
	// Audience is what the token must be for, so that it is of no use elsewhere.
	Audience = "archive.tocsin.dev"
	// ListPath lists entries; with /NAMESPACE/NAME behind it, one.
	ListPath = "/v1/notifications"

	// retryAfter is when somebody who was turned away may ask again, in seconds. Clients of the API server do so by themselves.
	retryAfter = 1
	// maxFilter is the longest that a filter may be, in bytes of JSON.
	maxFilter = 32 << 10
)

// Access says who may read.
type Access interface {
	// Check says who bears the token and asks about a notification, or without a name about all of the namespace, or without a
	// namespace about all of the cluster. ErrUnknown and ErrForbidden are the reader's, ErrBusy is that of others; other
	// errors are ours.
	Check(ctx context.Context, token, namespace, name string) (Reader, error)
}

// Reader is somebody who asks.
type Reader struct {
	// Name tells those apart who are not to be in each other's way.
	Name string
	// From is when that began which he may read of: notifications that were created before are none of his. Zero: all.
	From time.Time
	// May, if it is given, is what is left to find out once he has a place: it returns From, or ErrForbidden.
	May func(context.Context) (from time.Time, err error)
}

// Observer is told how each request ended: with Answered or Gone, or with the reason of the Status that was the answer, and
// with the error behind it.
type Observer func(outcome metav1.StatusReason, err error)

const (
	// Answered is that the reader got what he asked for.
	Answered metav1.StatusReason = "Answered"
	// Gone is that he did not wait for it.
	Gone metav1.StatusReason = "Gone"
)

var (
	// ErrUnknown is that the token tells nobody.
	ErrUnknown = errors.New("the token is not accepted")
	// ErrForbidden is that its bearer may not read that.
	ErrForbidden = errors.New("not allowed")
)

type handler struct {
	store     archive.Store
	access    Access
	now       func() time.Time
	door      *door
	observers []Observer
}

// question is answered with what JSON is made of.
type question func(*http.Request, Reader) (any, error)

// New returns what answers the requests, and tells the observers.
func New(store archive.Store, access Access, now func() time.Time, observers ...Observer) http.Handler {
	return newHandler(store, access, now, standard, observers...)
}

func newHandler(store archive.Store, access Access, now func() time.Time, l limits, observers ...Observer) http.Handler {
	h := &handler{store: store, access: access, now: now, door: newDoor(l), observers: observers}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+ListPath, h.answer(h.list))
	mux.HandleFunc("GET "+ListPath+"/{namespace}/{name}", h.answer(h.get))
	return mux
}

// answer lets in who may and writes what the question returns. Whoever reads it slowly has the request in hand, and no turn.
func (h *handler) answer(q question) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reader, err := h.check(r)
		if err != nil {
			h.write(w, r, nil, err)
			return
		}
		leave, err := h.door.enter(reader.Name)
		if err != nil {
			h.write(w, r, nil, err)
			return
		}
		defer leave()
		body, err := h.ask(r, q, reader)
		h.write(w, r, body, err)
	}
}

// write answers with a body of JSON, or with what went wrong.
func (h *handler) write(w http.ResponseWriter, r *http.Request, body []byte, err error) {
	code, outcome := http.StatusOK, Answered
	if err != nil {
		status := h.failure(err)
		code, outcome = int(status.Code), status.Reason
		if status.Details != nil {
			w.Header().Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
		}
		if r.Context().Err() != nil {
			outcome = Gone
		}
		body, _ = json.Marshal(status) // of strings and numbers alone
	}
	for _, observe := range h.observers {
		observe(outcome, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// where there are no deadlines there is no connection either
	deadline := time.Now().Add(h.door.write) //nolint:forbidigo // connections go by this machine's clock
	_ = http.NewResponseController(w).SetWriteDeadline(deadline)
	w.WriteHeader(code)
	_, _ = w.Write(body) //nolint:gosec // it is JSON, and says so; a reader that has gone misses nothing
}

// ask returns the answer as JSON. A panic is an error like others.
func (h *handler) ask(r *http.Request, q question, reader Reader) (body []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			body, err = nil, fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	if reader.May != nil {
		ctx, cancel := context.WithTimeout(r.Context(), h.door.check)
		defer cancel()
		if reader.From, err = reader.May(ctx); err != nil {
			return nil, err
		}
	}
	done, err := h.door.turn(r.Context(), reader.Name)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(r.Context(), h.door.query)
	defer cancel()
	result, err := q(r.WithContext(ctx), reader)
	if err != nil {
		if ctx.Err() != nil && r.Context().Err() == nil {
			err = errSlow
		}
		return nil, err
	}
	return json.Marshal(result)
}

// errSlow is that the archive has not answered in time.
var errSlow = errors.New("the archive takes too long")

// check says who asks. What cannot be the name of anything is refused before anybody is asked about it.
func (h *handler) check(r *http.Request) (Reader, error) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	if name == "" {
		namespace = r.URL.Query().Get("namespace")
	}
	if namespace != "" && len(validation.IsDNS1123Label(namespace)) > 0 {
		return Reader{}, fmt.Errorf("%w: namespace: there can be none of that name", archive.ErrQuery)
	}
	if len(name) > validation.DNS1123SubdomainMaxLength {
		return Reader{}, fmt.Errorf("%w: name: may be at most %d bytes long", archive.ErrQuery, validation.DNS1123SubdomainMaxLength)
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.door.check)
	defer cancel()
	return h.access.Check(ctx, r.Header.Get(TokenHeader), namespace, name)
}

// list answers with a page. The parameters are namespace, filter (a NotificationFilter's spec as JSON), order, limit and
// continue.
func (h *handler) list(r *http.Request, reader Reader) (any, error) {
	parameters := r.URL.Query()
	q := archive.Query{
		Namespace: parameters.Get("namespace"), From: reader.From, Continue: parameters.Get("continue"), Now: h.now(),
	}
	switch order := parameters.Get("order"); order {
	case "", "newest":
	case "oldest":
		q.Order = archive.OldestFirst
	default:
		return nil, fmt.Errorf("%w: order: must be newest or oldest", archive.ErrQuery)
	}
	if filter := parameters.Get("filter"); filter != "" {
		if len(filter) > maxFilter {
			return nil, fmt.Errorf("%w: filter: may be at most %d bytes long", archive.ErrQuery, maxFilter)
		}
		if err := decode(filter, &q.Filter); err != nil {
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

// decode reads a filter and holds it to its schema.
func decode(filter string, into *v1alpha1.NotificationFilterSpec) error {
	decoder := json.NewDecoder(strings.NewReader(filter))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind it")
	}
	return logfilter.Validate(into)
}

// get answers with the entry that was created last under the name: if that is none of the reader's, no other is.
func (h *handler) get(r *http.Request, reader Reader) (any, error) {
	n, err := h.store.Get(r.Context(), r.PathValue("namespace"), r.PathValue("name"))
	if err == nil && n.CreationTimestamp.Time.Before(reader.From) {
		return nil, archive.ErrNotFound
	}
	return n, err
}

// failure tells what went wrong as the API server does. What is our own trouble is told without its details: they may be
// those of a database that the reader has nothing to do with.
func (h *handler) failure(err error) metav1.Status {
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
	case errors.Is(err, ErrBusy):
		s.Code, s.Reason = http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests
		s.Message = "the archive has too much to do, for this account or in all: try again in a moment"
		s.Details = &metav1.StatusDetails{RetryAfterSeconds: retryAfter}
	case errors.Is(err, errSlow):
		s.Code, s.Reason = http.StatusGatewayTimeout, metav1.StatusReasonTimeout
		s.Message = fmt.Sprintf("the archive did not answer within %s: ask for a shorter time, or for less text", h.door.query)
	default:
		s.Code, s.Reason = http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable
		s.Message = "the archive cannot be read now; the manager's log tells why"
	}
	return s
}
