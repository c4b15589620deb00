// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/internal/archive"
)

// storeFunc answers every question alike.
type storeFunc struct {
	archive.Store

	find func(context.Context, archive.Query) (archive.Page, error)
}

func (s storeFunc) Find(ctx context.Context, q archive.Query) (archive.Page, error) {
	return s.find(ctx, q)
}

// put asks a handler as alice, with parameters behind the path.
func put(h http.Handler, parameters string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, ListPath+"?"+parameters, nil)
	r.Header.Set(TokenHeader, "alice")
	h.ServeHTTP(w, r)
	return w
}

func TestAPanicGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	h := newHandler(storeFunc{find: func(context.Context, archive.Query) (archive.Page, error) { panic("a bug") }}, everybody{}, time.Now, roomy())
	for i := range standard.requests + 1 {
		func() {
			defer func() { _ = recover() }()
			if w := put(h, ""); w.Code != http.StatusServiceUnavailable {
				t.Fatalf("panic %d is answered %d: %s", i, w.Code, w.Body)
			}
		}()
	}
}

func TestAFilterIsHeldToItsSchema(t *testing.T) {
	t.Parallel()
	h := newHandler(storeFunc{find: func(context.Context, archive.Query) (archive.Page, error) { return archive.Page{}, nil }}, everybody{},
		time.Now, roomy())
	for filter, says := range map[string]string{
		`{"severities":["critical"]}`:                       "spec.severities[0]",
		`{"last":"-5h"}`:                                    "spec.last",
		`{"text":"` + strings.Repeat("x", 257) + `"}`:       "spec.text",
		`{"types":["a"` + strings.Repeat(`,"b"`, 64) + `]}`: "spec.types",
		`{"last":"5h"} and more`:                            "filter: ",
		`{"text":"` + strings.Repeat("x", maxFilter) + `"}`: "filter: may be at most",
	} {
		w := put(h, "filter="+url.QueryEscape(filter))
		var status metav1.Status
		if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || w.Code != http.StatusBadRequest || !strings.Contains(status.Message, says) {
			t.Errorf("%.60s is answered %d: %.200s", filter, w.Code, w.Body)
		}
	}
	if w := put(h, "filter="+url.QueryEscape(`{"last":"5h","severities":["Critical"]}`)); w.Code != http.StatusOK {
		t.Errorf("a filter that is right is answered %d: %s", w.Code, w.Body)
	}
}

func TestASlowAnswerNamesItsOwnLimit(t *testing.T) {
	t.Parallel()
	l := roomy()
	l.query = 3 * time.Millisecond
	slow := func(ctx context.Context, _ archive.Query) (archive.Page, error) {
		<-ctx.Done()
		return archive.Page{}, ctx.Err()
	}
	if w := put(newHandler(storeFunc{find: slow}, everybody{}, time.Now, l), ""); !strings.Contains(w.Body.String(), "within 3ms") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// accessFunc lets in as it says.
type accessFunc func(token string) (Reader, error)

func (f accessFunc) Check(_ context.Context, token, _, _ string) (Reader, error) { return f(token) }

// TestWhatAReaderMayIsAskedWithinHisShare as that costs more than his name.
func TestWhatAReaderMayIsAskedWithinHisShare(t *testing.T) {
	t.Parallel()
	l := roomy()
	l.requestsEach = 1
	asked, answered := make(chan struct{}, 2), make(chan struct{})
	from := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	access := accessFunc(func(token string) (Reader, error) {
		return Reader{Name: token, May: func(context.Context) (time.Time, error) {
			asked <- struct{}{}
			<-answered
			return from, nil
		}}, nil
	})
	var q archive.Query
	h := newHandler(storeFunc{find: func(_ context.Context, query archive.Query) (archive.Page, error) {
		q = query
		return archive.Page{}, nil
	}}, access, time.Now, l)
	first := make(chan int, 1)
	go func() { first <- put(h, "").Code }()
	get(t, "the first", asked)
	if w := put(h, ""); w.Code != http.StatusTooManyRequests || len(asked) > 0 {
		t.Errorf("one more than his share is answered %d, and asked about %d times", w.Code, len(asked))
	}
	close(answered)
	if code := get(t, "the answer", first); code != http.StatusOK || !q.From.Equal(from) {
		t.Errorf("answered %d, from %s on", code, q.From)
	}
}

func TestObserversAreToldHowItEnded(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is full")
	for name, c := range map[string]struct {
		check, find error
		parameters  string
		code        int
		outcome     metav1.StatusReason
		says        string
	}{
		"answered":               {outcome: Answered, code: http.StatusOK},
		"nobody's token":         {check: ErrUnknown, outcome: metav1.StatusReasonUnauthorized, code: http.StatusUnauthorized, says: "token"},
		"no right":               {check: ErrForbidden, outcome: metav1.StatusReasonForbidden, code: http.StatusForbidden, says: "not allowed"},
		"many checks":            {check: ErrBusy, outcome: metav1.StatusReasonTooManyRequests, code: http.StatusTooManyRequests, says: "too many"},
		"no API server":          {check: broken, outcome: metav1.StatusReasonServiceUnavailable, code: http.StatusServiceUnavailable, says: "disk"},
		"no archive":             {find: broken, outcome: metav1.StatusReasonServiceUnavailable, code: http.StatusServiceUnavailable, says: "disk"},
		"a wrong order":          {parameters: "order=random", outcome: metav1.StatusReasonBadRequest, code: http.StatusBadRequest, says: "order"},
		"no name of a namespace": {check: ErrForbidden, parameters: "namespace=A/B", outcome: metav1.StatusReasonBadRequest, code: http.StatusBadRequest, says: "namespace"},
	} {
		var outcomes []metav1.StatusReason
		var told error
		h := newHandler(storeFunc{find: func(context.Context, archive.Query) (archive.Page, error) { return archive.Page{}, c.find }},
			accessFunc(func(token string) (Reader, error) { return Reader{Name: token}, c.check }), time.Now, roomy(),
			func(outcome metav1.StatusReason, err error) { outcomes, told = append(outcomes, outcome), err })
		w := put(h, c.parameters)
		if w.Code != c.code || !slices.Equal(outcomes, []metav1.StatusReason{c.outcome}) || c.says != "" && !strings.Contains(fmt.Sprint(told), c.says) {
			t.Errorf("%s: answered %d, observed %v with %v", name, w.Code, outcomes, told)
		}
		if errors.Is(told, broken) && strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s: our trouble is the reader's: %s", name, w.Body)
		}
	}
}
