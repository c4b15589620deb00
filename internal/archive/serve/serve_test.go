// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
)

// patience is how long to wait for what happens at once.
const patience = 30 * time.Second

// slowStore answers the questions of who is slow when the test says so, and with a page as big as the test wants.
type slowStore struct {
	archive.Store

	// asked tells of each question, by namespace.
	asked chan string
	// answers lets one question of a namespace that begins with slow be answered.
	answers chan struct{}
	page    archive.Page
}

func (s *slowStore) Find(ctx context.Context, q archive.Query) (archive.Page, error) {
	s.asked <- q.Namespace
	if strings.HasPrefix(q.Namespace, "slow") {
		select {
		case <-s.answers:
		case <-ctx.Done():
			return archive.Page{}, ctx.Err()
		}
	}
	return s.page, nil
}

// everybody may read, and is known by the token.
type everybody struct{}

func (everybody) Check(_ context.Context, token, _, _ string) (Reader, error) {
	if token == "" {
		return Reader{}, ErrUnknown
	}
	return Reader{Name: token}, nil
}

type served struct {
	*httptest.Server

	t     *testing.T
	store *slowStore
}

func serveSlowly(t *testing.T, l limits) *served {
	t.Helper()
	s := &served{t: t, store: &slowStore{asked: make(chan string, 100), answers: make(chan struct{})}}
	s.Server = httptest.NewServer(newHandler(s.store, everybody{}, time.Now, l))
	t.Cleanup(s.Close)
	return s
}

// reply is what somebody was answered.
type reply struct {
	code       int
	retryAfter string
	body       []byte
}

// ask asks as a reader; the reply comes when it comes.
func (s *served) ask(reader, namespace string) <-chan reply {
	replies := make(chan reply, 1)
	go func() {
		defer close(replies)
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL+ListPath+"?namespace="+namespace, nil)
		if err != nil {
			return
		}
		request.Header.Set(TokenHeader, reader)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		replies <- reply{response.StatusCode, response.Header.Get("Retry-After"), body}
	}()
	return replies
}

func get[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
		panic("not reached")
	}
}

// roomy is what nobody comes up against.
func roomy() limits {
	l := standard
	l.check, l.wait, l.query, l.write = patience, patience, patience, patience
	return l
}

func TestAReaderWithSlowQuestionsHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := serveSlowly(t, roomy())
	var slow []<-chan reply
	for range standard.requestsEach {
		slow = append(slow, s.ask("mallory", "slow"))
	}
	for range standard.questionsEach {
		get(t, "a slow question", s.store.asked)
	}
	for range 20 {
		if r := get(t, "the answer to somebody else", s.ask("alice", "quick")); r.code != http.StatusOK {
			t.Fatalf("alice is answered %d: %s", r.code, r.body)
		}
		if namespace := get(t, "alice's question", s.store.asked); namespace != "quick" {
			t.Fatalf("a question about %s is worked on in between", namespace)
		}
	}
	for range slow {
		s.store.answers <- struct{}{}
	}
	for _, replies := range slow {
		if r := get(t, "the answer to a slow question", replies); r.code != http.StatusOK {
			t.Errorf("mallory is answered %d: %s", r.code, r.body)
		}
	}
}

func TestWhoAsksLeastIsNext(t *testing.T) {
	t.Parallel()
	l := roomy()
	l.questions, l.questionsEach = 2, 1
	d := newDoor(l)
	first, err := d.turn(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.turn(t.Context(), "eve")
	if err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 3)
	for i, reader := range []string{"mallory", "mallory", "alice"} {
		go func() {
			done, err := d.turn(t.Context(), reader)
			if err == nil {
				order <- reader
				done()
			}
		}()
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			d.mu.Lock()
			n := len(d.waiting)
			d.mu.Unlock()
			if n == i+1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d wait, want %d", n, i+1)
			}
		}
	}
	other() // mallory came first, and has one worked on
	if reader := get(t, "the next", order); reader != "alice" {
		t.Errorf("next is %s", reader)
	}
	first()
	for range 2 {
		get(t, "mallory's others", order)
	}
}

func TestWhoAsksTooMuchIsTurnedAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit func(*limits)
		// others are how many requests of other readers are in hand.
		others int
	}{
		"one reader":  {func(l *limits) { l.requestsEach = 2 }, 2},
		"all readers": {func(l *limits) { l.requests = 4 }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := roomy()
			c.limit(&l)
			s := serveSlowly(t, l)
			var waiting []<-chan reply
			for i := range c.others {
				waiting = append(waiting, s.ask(fmt.Sprint("other-", i), "slow"))
				get(t, "a question", s.store.asked)
			}
			for range 2 {
				waiting = append(waiting, s.ask("mallory", "slow"))
				get(t, "a question", s.store.asked)
			}
			turned := get(t, "the answer to one too many", s.ask("mallory", "slow"))
			var status metav1.Status
			if err := json.Unmarshal(turned.body, &status); err != nil || turned.code != http.StatusTooManyRequests ||
				turned.retryAfter != "1" || status.Reason != metav1.StatusReasonTooManyRequests || status.Details.RetryAfterSeconds != 1 {
				t.Errorf("%v: turned away with %d, Retry-After %q: %s", err, turned.code, turned.retryAfter, turned.body)
			}
			close(s.store.answers)
			for _, replies := range waiting {
				if r := get(t, "an answer", replies); r.code != http.StatusOK {
					t.Errorf("%d: %s", r.code, r.body)
				}
			}
			if r := get(t, "a later answer", s.ask("mallory", "slow")); r.code != http.StatusOK {
				t.Errorf("later mallory is still answered %d", r.code)
			}
		})
	}
}

func TestNothingTakesForEver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit func(*limits)
		// before is how many questions are worked on already.
		before, code int
	}{
		"a query":            {func(l *limits) { l.query = time.Millisecond }, 0, http.StatusGatewayTimeout},
		"waiting for a turn": {func(l *limits) { l.wait = time.Millisecond }, standard.questionsEach, http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := roomy()
			c.limit(&l)
			s := serveSlowly(t, l)
			for range c.before {
				s.ask("alice", "slow")
				get(t, "a question", s.store.asked)
			}
			if r := get(t, "an answer", s.ask("alice", "slow")); r.code != c.code {
				t.Errorf("answered %d, want %d: %s", r.code, c.code, r.body)
			}
		})
	}
}

// TestWhoReadsSlowly neither takes a turn from anybody nor keeps a page for ever.
func TestWhoReadsSlowly(t *testing.T) {
	t.Parallel()
	l := roomy()
	l.requestsEach, l.questionsEach, l.questions, l.write = 1, 1, 1, 100*time.Millisecond
	s := serveSlowly(t, l)
	big := v1alpha1.Notification{Spec: v1alpha1.NotificationSpec{Deliveries: []v1alpha1.Delivery{{Message: strings.Repeat("long ", 4<<20)}}}}
	s.store.page.Notifications = []v1alpha1.Notification{big} // more than the system keeps for a connection
	connection, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: x\r\n%s: mallory\r\n\r\n", ListPath, TokenHeader); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReaderSize(connection, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v", line, err)
	}
	if r := get(t, "the answer to somebody else", s.ask("alice", "quick")); r.code != http.StatusOK {
		t.Errorf("alice is answered %d: %s", r.code, r.body)
	}
	for deadline := time.Now().Add(patience); ; {
		if r := get(t, "an answer", s.ask("mallory", "quick")); r.code == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("mallory's page is written for ever")
		}
	}
}

// TestWhoGoesAwayTakesNoTurn leaves nothing behind.
func TestWhoGoesAwayTakesNoTurn(t *testing.T) {
	t.Parallel()
	l := roomy()
	l.questions = 1
	d := newDoor(l)
	done, err := d.turn(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.turn(ctx, "bob"); err == nil {
		t.Error("bob has gone and has a turn")
	}
	done()
	leave, err := d.enter("carol")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if d.busy != 0 || d.requests != 0 || len(d.waiting)+len(d.working)+len(d.inHand) != 0 {
		t.Errorf("what is left: %+v", d)
	}
}
