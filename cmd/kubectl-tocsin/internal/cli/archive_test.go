// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/cli"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/archive/serve"
)

// secret begins the tokens, which nobody must see; the account follows.
const secret = "eyJhbGciOiJSUzI1NiJ9."

const (
	operatorPath = "/api/v1/namespaces/tocsin-system"
	doorPath     = operatorPath + "/services/https:tocsin-archive:8443/proxy"
)

// apiServer plays the API server: it makes tokens, and passes requests on to the archive. Accounts read their own namespace,
// those of the operator's all.
type apiServer struct {
	archive http.Handler
	// answer, if it is given, answers before the archive or the maker of tokens does, with an error.
	answer func(path string) *metav1.Status
	// token is what a token request gets in place of the account's own.
	token *string

	mu       sync.Mutex
	requests []string
	pages    []url.Values
	spans    []int64
}

// Check knows the tokens that the API server has made.
func (s *apiServer) Check(_ context.Context, token, namespace, name string) (serve.Reader, error) {
	account, ours := strings.CutPrefix(token, secret)
	home, _, _ := strings.Cut(account, "/")
	switch {
	case !ours:
		return serve.Reader{}, serve.ErrUnknown
	case home != "tocsin-system" && home != namespace:
		return serve.Reader{}, fmt.Errorf("%w: %s may not read %s/%s", serve.ErrForbidden, account, namespace, name)
	}
	return serve.Reader{Name: account}, nil
}

// newArchive has those of the objects in its archive that are notifications, and the one of testdata.
func newArchive(t *testing.T, objects ...client.Object) *apiServer {
	t.Helper()
	database, err := archive.New("sqlite://" + filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	var entries []archive.Entry
	for _, object := range append(manifests(t, "archive.yaml"), objects...) {
		n, ok := object.DeepCopyObject().(*v1alpha1.Notification)
		if !ok {
			continue
		}
		n.UID = types.UID(n.Namespace + "/" + n.Name)
		if n.ResourceVersion == "" {
			n.ResourceVersion = "1"
		}
		entry, err := archive.NewEntry(n)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	if err := database.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	s := &apiServer{}
	s.archive = serve.New(database, s, func() time.Time { return noon })
	return s
}

// start serves, and returns where.
func (s *apiServer) start(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", s.makeToken)
	mux.HandleFunc("GET "+doorPath+"/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.pages = append(s.pages, r.URL.Query())
		s.mu.Unlock()
		r.Header.Del("Authorization")
		http.StripPrefix(doorPath, s.archive).ServeHTTP(w, r)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		if s.answer != nil {
			if status := s.answer(r.URL.Path); status != nil {
				status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
				write := json.NewEncoder(w)
				w.Header().Set("Content-Type", "application/json")
				if status.Details != nil && status.Code == http.StatusTooManyRequests {
					w.Header().Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
				}
				w.WriteHeader(int(status.Code))
				_ = write.Encode(status)
				return
			}
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (s *apiServer) makeToken(w http.ResponseWriter, r *http.Request) {
	var request authenticationv1.TokenRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || !slices.Equal(request.Spec.Audiences, []string{serve.Audience}) {
		http.Error(w, fmt.Sprint("no request for a token of the archive: ", err, request), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.spans = append(s.spans, *request.Spec.ExpirationSeconds)
	s.mu.Unlock()
	request.Status.Token = secret + r.PathValue("namespace") + "/" + r.PathValue("account")
	if s.token != nil {
		request.Status.Token = *s.token
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(request)
}

// archiveTerminal is a terminal with a cluster that has nothing but saved filters, and this API server.
func archiveTerminal(t *testing.T, s *apiServer) *terminal {
	t.Helper()
	var filters []client.Object
	for _, o := range stock(t) {
		if _, isFilter := o.(*v1alpha1.NotificationFilter); isFilter {
			filters = append(filters, o)
		}
	}
	x, address := newTerminal(t, filters...), s.start(t)
	x.Server = func() (*rest.Config, error) { return &rest.Config{Host: address, QPS: -1}, nil }
	return x
}

// runQuietly runs a command line that must not show a token.
func (x *terminal) runQuietly(t *testing.T, line string) int {
	t.Helper()
	code := x.run(t, words(line)...)
	if out := x.out.String() + x.err.String(); strings.Contains(out, secret) {
		t.Errorf("%s: a token is shown: %s", line, out)
	}
	return code
}

func (x *terminal) shown() string {
	return strings.Join(strings.Fields(strings.ReplaceAll(x.out.String(), "notification.tocsin.dev/", "")), " ")
}

func TestTheWordsOfTheArchiveAreItsOwn(t *testing.T) {
	t.Parallel()
	if cli.ArchiveTokenHeader != serve.TokenHeader || cli.ArchiveAudience != serve.Audience || cli.ArchiveListPath != serve.ListPath {
		t.Error("the plugin and internal/archive/serve do not agree")
	}
}

func TestLogOfTheArchive(t *testing.T) {
	t.Parallel()
	elsewhere := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
		Namespace: "plant", Name: "elsewhere", CreationTimestamp: metav1.NewTime(noon.Add(-time.Minute)),
	}}
	s := newArchive(t, append(stock(t), elsewhere)...)
	x := archiveTerminal(t, s)
	const all = "outbreak-c5wq3tz8fh test-x7k2p soc-mail-digest-7vbq2m4kdx outbreak-mnaaog7ng2 outbreak-2dfojryr7q"
	for line, want := range map[string]string{
		"":                                    all,
		"--chunk-size 1":                      all,
		"--chunk-size 0":                      all,
		"--chunk-size 100000":                 all,
		"-A":                                  all + " elsewhere",
		"--tail 2":                            "outbreak-mnaaog7ng2 outbreak-2dfojryr7q",
		"--tail 3 --chunk-size 2":             "soc-mail-digest-7vbq2m4kdx outbreak-mnaaog7ng2 outbreak-2dfojryr7q",
		"--tail 0":                            "",
		"--filter open-critical":              "outbreak-2dfojryr7q",
		"--filter open-critical --until 1h":   "",
		"--until 2026-01-01T00:00:00Z":        "outbreak-c5wq3tz8fh",
		"--since 24h --condition out*":        "outbreak-mnaaog7ng2 outbreak-2dfojryr7q",
		"--text 'ticket 4711' --acknowledged": "outbreak-mnaaog7ng2",
		"--state failed":                      "test-x7k2p",
	} {
		if code := x.runQuietly(t, "log --archive -o name "+line); code != 0 || x.shown() != want {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", line, code, x.shown(), want, x.err.String())
		}
	}
	if code := x.runQuietly(t, "log --archive --type none"); code != 0 || x.err.String() != "No archived notifications found in security namespace.\n" {
		t.Errorf("exit code %d: %s", code, x.err.String())
	}
	for _, seconds := range s.spans {
		if seconds != 600 {
			t.Errorf("a token is good for %d seconds", seconds)
		}
	}
}

func TestTheTailOfTheArchiveNeedsTheFirstPagesOnly(t *testing.T) {
	t.Parallel()
	var many []client.Object
	for i := range 9 {
		many = append(many, &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: "n" + strconv.Itoa(i), CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(i-20) * time.Minute)),
		}})
	}
	s := newArchive(t, many...)
	x := archiveTerminal(t, s)
	if code := x.runQuietly(t, "log --archive --tail 3 --chunk-size 2 --filter open-critical --severity Info --since 1h -o name"); code != 0 {
		t.Fatal(x.err.String())
	}
	if x.runQuietly(t, "log --archive --tail 3 --chunk-size 2 -o name"); x.shown() != "n6 n7 n8" {
		t.Errorf("shown is %q", x.shown())
	}
	var limits []string
	for _, page := range s.pages[1:] {
		limits = append(limits, page.Get("limit"))
	}
	if !slices.Equal(limits, []string{"2", "1"}) {
		t.Errorf("asked for pages of %q", limits)
	}
	var filter v1alpha1.NotificationFilterSpec
	if err := json.Unmarshal([]byte(s.pages[0].Get("filter")), &filter); err != nil || filter.Last != "" || filter.Since == nil {
		t.Errorf("%v: the filter is %s", err, s.pages[0].Get("filter"))
	}
}

func TestLastIsTurnedIntoSinceWithWholeSeconds(t *testing.T) {
	t.Parallel()
	s := newArchive(t, stock(t)...)
	x := archiveTerminal(t, s)
	// Half a second after what was decided at 11:30:00 is a day old, open-critical has nothing.
	x.Now = func() time.Time { return time.Date(2026, 11, 23, 11, 30, 0, 5e8, time.UTC) }
	if code := x.runQuietly(t, "log --archive --filter open-critical -o name"); code != 0 || x.shown() != "" {
		t.Errorf("exit code %d, %q: %s", code, x.shown(), x.err.String())
	}
	if got := s.pages[0].Get("filter"); !strings.Contains(got, `"since":"2026-11-22T11:30:01Z"`) || strings.Contains(got, "last") {
		t.Errorf("the filter is %s", got)
	}
}

func TestALongLogOfTheArchiveRenewsItsToken(t *testing.T) {
	t.Parallel()
	s := newArchive(t, stock(t)...)
	x := archiveTerminal(t, s)
	now := noon
	x.Now = func() time.Time {
		now = now.Add(2 * time.Minute)
		return now
	}
	if code := x.runQuietly(t, "log --archive --chunk-size 1 -o name"); code != 0 || len(s.spans) < 2 || len(s.spans) >= len(s.pages) {
		t.Errorf("exit code %d with %d tokens for %d pages: %s", code, len(s.spans), len(s.pages), x.err.String())
	}
}

// What is shown of a page is written before the next one is asked for: nobody holds more than that.
func TestTheArchiveIsShownPageByPage(t *testing.T) {
	t.Parallel()
	var many []client.Object
	for i := range 9 {
		many = append(many, &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: "n" + strconv.Itoa(i), CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(i-20) * time.Minute)),
		}})
	}
	for format, mark := range map[string]string{
		"--no-headers": "\n", "-o wide --no-headers": "\n", "-o name": "\n", "-o custom-columns=N:.metadata.name --no-headers": "\n",
		"-o json": `"kind": "Notification"`, "-o yaml": "kind: Notification\n",
	} {
		s := newArchive(t, many...)
		x := archiveTerminal(t, s)
		var shown []int // whenever the time is asked for, as it is before each page
		x.Now = func() time.Time {
			shown = append(shown, strings.Count(x.out.String(), mark))
			return noon
		}
		if code := x.runQuietly(t, "log --archive --chunk-size 2 "+format); code != 0 {
			t.Fatalf("%s: exit code %d: %s", format, code, x.err.String())
		}
		if total := strings.Count(x.out.String(), mark); total != 10 || len(s.pages) < 5 {
			t.Errorf("%s: shown are %d of 10, of %d pages:\n%s", format, total, len(s.pages), x.out.String())
		}
		for page, before := range shown[len(shown)-len(s.pages):] {
			if before != 2*page {
				t.Errorf("%s: %d are shown before page %d is asked for", format, before, page)
			}
		}
	}
}

func TestWhatIsShownPageByPageIsTheSame(t *testing.T) {
	t.Parallel()
	s := newArchive(t, stock(t)...)
	x := archiveTerminal(t, s)
	for _, line := range []string{
		"-o json", "-o yaml", "-o name", "-o custom-columns=N:.metadata.name,S:.spec.severity", "-o json --type none", "-o yaml --type none",
		"-o name --type none", "-o custom-columns=N:.metadata.name --type none", "--type none",
	} {
		if code := x.runQuietly(t, "log --archive --tail 100 "+line); code != 0 {
			t.Fatalf("%s: exit code %d: %s", line, code, x.err.String())
		}
		whole, said := x.out.String(), x.err.String()
		if x.runQuietly(t, "log --archive "+line); x.out.String() != whole || x.err.String() != said {
			t.Errorf("%s: as a whole %s\n%s\npage by page %s\n%s", line, said, whole, x.err.String(), x.out.String())
		}
		if x.runQuietly(t, "log --archive --chunk-size 1 "+line); strings.HasPrefix(line, "-o json") && x.out.String() != whole {
			t.Errorf("%s: as a whole\n%s\none by one\n%s", line, whole, x.out.String())
		}
	}
}

func TestABusyArchiveIsAskedAgain(t *testing.T) {
	t.Parallel()
	busy := apierrors.NewTooManyRequests("the archive has too much to do, for this account or in all: try again in a moment", 0)
	for name, c := range map[string]struct {
		// times is how often it is busy.
		times, code, asked int
		says               string
	}{
		"for a while": {3, 0, 4, ""},
		"for ever": {1000, 1, 11,
			"Error from server (TooManyRequests): the archive has too much to do, for this account or in all: try again in a moment\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newArchive(t, stock(t)...)
			asked := 0
			s.answer = func(path string) *metav1.Status {
				if !strings.Contains(path, "/proxy") {
					return nil
				}
				if asked++; asked > c.times {
					return nil
				}
				return &busy.ErrStatus
			}
			x := archiveTerminal(t, s)
			if code := x.runQuietly(t, "log --archive -o name"); code != c.code || x.err.String() != c.says || asked != c.asked {
				t.Errorf("exit code %d after %d times, want %d after %d: %s", code, asked, c.code, c.asked, x.err.String())
			}
		})
	}
}

func TestShowOfTheArchive(t *testing.T) {
	t.Parallel()
	s := newArchive(t, stock(t)...)
	x := archiveTerminal(t, s)
	if code := x.runQuietly(t, "show outbreak-mnaaog7ng2 --archive"); code != 0 {
		t.Fatal(x.err.String())
	}
	archived := x.out.String()
	y := newTerminal(t, stock(t)...)
	if y.run(t, "show", "outbreak-mnaaog7ng2"); archived != y.out.String() {
		t.Errorf("the archive tells\n%s\nthe cluster\n%s", archived, y.out.String())
	}
	if code := x.runQuietly(t, "show outbreak-c5wq3tz8fh --archive -o name"); code != 0 || x.shown() != "outbreak-c5wq3tz8fh" {
		t.Errorf("exit code %d: %s", code, x.err.String())
	}
	if code := x.runQuietly(t, "show missing --archive"); code != 1 ||
		x.err.String() != "Error from server (NotFound): the archive has no such notification\n" {
		t.Errorf("exit code %d: %s", code, x.err.String())
	}
}

func TestTheTokenIsOfTheRightAccount(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"log --archive":                             "/api/v1/namespaces/security/serviceaccounts/tocsin-log-reader/token",
		"log --archive -A":                          operatorPath + "/serviceaccounts/tocsin-log-reader/token",
		"log --archive --archive-account auditor":   "/api/v1/namespaces/security/serviceaccounts/auditor/token",
		"show outbreak-c5wq3tz8fh --archive":        "/api/v1/namespaces/security/serviceaccounts/tocsin-log-reader/token",
		"log --archive -A --operator-namespace ops": "/api/v1/namespaces/ops/serviceaccounts/tocsin-log-reader/token",
	} {
		s := newArchive(t)
		x := archiveTerminal(t, s)
		x.runQuietly(t, line)
		if len(s.requests) == 0 || s.requests[0] != "POST "+want {
			t.Errorf("%s: asked %q: %s", line, s.requests, x.err.String())
		}
	}
	s := newArchive(t)
	archiveTerminal(t, s).runQuietly(t, "log --archive --operator-namespace ops")
	if want := "GET /api/v1/namespaces/ops/services/https:tocsin-archive:8443/proxy/v1/notifications"; s.requests[1] != want {
		t.Errorf("asked %q", s.requests)
	}
}

// Namespaces that are gone have no accounts, and others may have none: whoever may read all reads them, too.
func TestTheManagersAccountStandsInForTheNamespaces(t *testing.T) {
	t.Parallel()
	account := schema.GroupResource{Resource: "serviceaccounts"}
	none := apierrors.NewNotFound(account, "tocsin-log-reader")
	denied := apierrors.NewForbidden(account, "tocsin-log-reader", errors.New(`User "eve" cannot`))
	noEntry := &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: "no such notification",
	}}
	const (
		own, show, log = "/namespaces/security/serviceaccounts/", "show outbreak-c5wq3tz8fh --archive -o name", "log --archive -o name"
		home, entry    = operatorPath + "/serviceaccounts/", "/security/outbreak-c5wq3tz8fh"
	)
	for name, tc := range map[string]struct {
		line string
		// wrong is what those who ask for these paths are told, so many times in all.
		wrong map[string]*apierrors.StatusError
		times int
		// says is what is said if nothing is shown.
		says string
	}{
		"no account, show":                {show, map[string]*apierrors.StatusError{own: none}, 1, ""},
		"no account, log":                 {log, map[string]*apierrors.StatusError{own: none}, 1, ""},
		"no right in the namespace, show": {show, map[string]*apierrors.StatusError{own: denied}, 1, ""},
		"no right in the namespace, log":  {log, map[string]*apierrors.StatusError{own: denied}, 1, ""},
		"of the namespace before, show":   {show, map[string]*apierrors.StatusError{entry: noEntry}, 1, ""},
		"no account, no right to another": {show, map[string]*apierrors.StatusError{own: none, home: denied}, 9, `(NotFound): serviceaccounts "toc`},
		"no right to either":              {log, map[string]*apierrors.StatusError{own: denied, home: none}, 9, `(Forbidden): serviceaccounts "toc`},
		"no entry, no right to another":   {show, map[string]*apierrors.StatusError{entry: noEntry, home: denied}, 9, "(NotFound): no such notification\n"},
		"no entry for either":             {show, map[string]*apierrors.StatusError{entry: noEntry}, 9, "(NotFound): no such notification\n"},
		"the API server cannot, which is said": {log, map[string]*apierrors.StatusError{own: apierrors.NewServiceUnavailable("busy")}, 1,
			"(ServiceUnavailable): busy\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newArchive(t)
			told := 0
			s.answer = func(path string) *metav1.Status {
				for at, err := range tc.wrong {
					if strings.Contains(path, at) && told < tc.times {
						told++
						return err.ErrStatus.DeepCopy()
					}
				}
				return nil
			}
			x := archiveTerminal(t, s)
			code := x.runQuietly(t, tc.line)
			if tc.says == "" && (code != 0 || x.shown() != "outbreak-c5wq3tz8fh") {
				t.Errorf("exit code %d, shown is %q: %s", code, x.shown(), x.err.String())
			}
			if tc.says != "" && (code != 1 || !strings.HasPrefix(x.err.String(), "Error from server "+tc.says)) {
				t.Errorf("exit code %d: %s", code, x.err.String())
			}
		})
	}
}

func TestErrorsOfTheArchive(t *testing.T) {
	t.Parallel()
	account := schema.GroupResource{Resource: "serviceaccounts"}
	service := schema.GroupResource{Resource: "services"}
	const help = "; docs/operations.md#reading-the-archive tells what a reader needs\n"
	answered := func(at string, err *apierrors.StatusError) func(string) *metav1.Status {
		return func(path string) *metav1.Status {
			if strings.Contains(path, at) {
				return &err.ErrStatus
			}
			return nil
		}
	}
	none, unknown, plant := "", "x", secret+"plant/reader"
	for name, tc := range map[string]struct {
		line   string
		answer func(string) *metav1.Status
		token  *string
		want   string
	}{
		"no right to tokens": {"log --archive", answered("/token", apierrors.NewForbidden(account, "tocsin-log-reader", errors.New(`User "eve" cannot`))), nil,
			`Error from server (Forbidden): serviceaccounts "tocsin-log-reader" is forbidden: User "eve" cannot` + help},
		"no account": {"log --archive", answered("/token", apierrors.NewNotFound(account, "tocsin-log-reader")), nil,
			`Error from server (NotFound): serviceaccounts "tocsin-log-reader" not found` + help},
		"no account, show": {"show x --archive", answered("/token", apierrors.NewNotFound(account, "tocsin-log-reader")), nil,
			`Error from server (NotFound): serviceaccounts "tocsin-log-reader" not found` + help},
		"no archive": {"log --archive", answered("/proxy", apierrors.NewNotFound(service, "tocsin-archive")), nil,
			`Error from server (NotFound): services "tocsin-archive" not found` + help},
		"the archive is away": {"log --archive", answered("/proxy", apierrors.NewServiceUnavailable("no endpoints available")), nil,
			"Error from server (ServiceUnavailable): no endpoints available\n"},
		"the archive takes long": {"log --archive", answered("/proxy", apierrors.NewTimeoutError("the archive did not answer", 0)), nil,
			"Error from server (Timeout): Timeout: the archive did not answer\n"},
		"an account without rights": {"log --archive", nil, &plant,
			"Error from server (Forbidden): not allowed: plant/reader may not read security/" + help},
		"a token that is not accepted": {"log --archive", nil, &unknown, "Error from server (Unauthorized): the token is not accepted\n"},
		"no token": {"log --archive", nil, &none,
			"error: the API server made no token of ServiceAccount security/tocsin-log-reader\n"},
		"a bad page": {"log --archive", answered("/proxy", apierrors.NewBadRequest("limit: must be a number")), nil,
			"Error from server (BadRequest): limit: must be a number\n"},
		"what the server says": {"log --archive", answered("/proxy", apierrors.NewBadRequest("a"+evil)), nil, "Error from server (BadRequest): a\uFFFD[2J"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newArchive(t)
			s.answer, s.token = tc.answer, tc.token
			x := archiveTerminal(t, s)
			if code := x.runQuietly(t, tc.line); code != 1 || !strings.HasPrefix(x.err.String(), tc.want) || x.out.Len() > 0 {
				t.Errorf("exit code %d\ngot  %q\nwant %q", code, x.err.String(), tc.want)
			}
			if r, found := dangerous(x.err.String()); found {
				t.Errorf("%U reaches the terminal", r)
			}
		})
	}
}
