// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/retention"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// store is a cluster of its own: retention is about all that a cluster holds.
type store struct {
	*cluster.Cluster

	wire *wire
}

// wire is where the manager's deletes pass.
type wire struct {
	mu sync.Mutex
	// one are the deletes of one event or notification, many those of many events.
	one, many []deletion
	// refuse answers a delete in place of the API server, if it returns something.
	refuse func(*http.Request) *http.Response
}

type deletion struct {
	at        time.Time
	namespace string
	// upTo is the position that it goes up to, and listed what the API server says that it has deleted.
	upTo   uint64
	listed []metav1.PartialObjectMetadata
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (w *wire) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodDelete {
			return next.RoundTrip(r)
		}
		path := strings.Split(strings.TrimPrefix(r.URL.Path, "/apis/tocsin.dev/v1alpha1/namespaces/"), "/")
		d := deletion{at: time.Now(), namespace: path[0]}
		d.upTo, _ = strconv.ParseUint(r.URL.Query().Get("resourceVersion"), 10, 64)
		response, err := w.answer(r, next)
		if err == nil && response.StatusCode == http.StatusOK && len(path) == 2 {
			body, _ := io.ReadAll(response.Body)
			response.Body = io.NopCloser(bytes.NewReader(body))
			var list metav1.PartialObjectMetadataList
			if err := json.Unmarshal(body, &list); err != nil {
				return nil, err
			}
			d.listed = list.Items
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(path) == 2 {
			w.many = append(w.many, d)
		} else {
			w.one = append(w.one, d)
		}
		return response, err
	})
}

func (w *wire) answer(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	w.mu.Lock()
	refuse := w.refuse
	w.mu.Unlock()
	if refuse != nil {
		if response := refuse(r); response != nil {
			return response, nil
		}
	}
	return next.RoundTrip(r)
}

func (w *wire) seen() (one, many []deletion) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.one, w.many
}

func (w *wire) refuseWith(refuse func(*http.Request) *http.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = refuse
}

// forbidden is what an API server says that refuses.
func forbidden(r *http.Request) *http.Response {
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"not today","code":403}`
	return &http.Response{
		StatusCode: http.StatusForbidden, Request: r, Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/json"}},
	}
}

// lead runs a manager until the returned function is called.
func (s *store) lead(t *testing.T, options controllers.Options) (stop func()) {
	t.Helper()
	s.wire = &wire{}
	c := rest.CopyConfig(s.Config)
	c.Wrap(s.wire.wrap)
	anew := true
	mgr, err := ctrl.NewManager(c, ctrl.Options{
		Scheme: cluster.Scheme(), Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &anew},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := controllers.Setup(ctx, mgr, options); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error("manager:", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// clean deletes all that a test has left.
func (s *store) clean(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	var namespaces corev1.NamespaceList
	if err := s.Client.List(ctx, &namespaces); err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces.Items {
		for _, o := range []client.Object{
			&v1alpha1.SecurityEvent{}, &v1alpha1.Notification{}, &v1alpha1.NotificationCondition{}, &v1alpha1.NotificationChannel{},
		} {
			if err := s.Client.DeleteAllOf(ctx, o, client.InNamespace(ns.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// report creates that many events of a severity.
func (s *store) report(t *testing.T, namespace string, severity v1alpha1.Severity, n int) {
	t.Helper()
	var reporters sync.WaitGroup
	for range min(n, 8) {
		reporters.Go(func() {
			for range n / min(n, 8) {
				e := detection(namespace, "ws", "Worm")
				e.Spec.Severity = severity
				s.Create(t, e)
			}
		})
	}
	reporters.Wait()
}

// kept counts the events of a namespace and severity.
func (s *store) kept(t *testing.T, namespace string, severity v1alpha1.Severity) int {
	t.Helper()
	var list v1alpha1.SecurityEventList
	if err := s.Client.List(t.Context(), &list, client.InNamespace(namespace),
		client.MatchingFields{"spec.severity": string(severity)}); err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

func (s *store) awaitKept(t *testing.T, namespace string, severity v1alpha1.Severity, check func(int) bool, what string) {
	t.Helper()
	cluster.Eventually(t, fmt.Sprintf("%s of %s in %s", what, severity, namespace), func(context.Context) error {
		if n := s.kept(t, namespace, severity); !check(n) {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}

func none(n int) bool { return n == 0 }

func atMost(most int) func(int) bool { return func(n int) bool { return n <= most } }

// told adds up what the Warning Events of a namespace say.
func (s *store) told(t *testing.T, namespace, reason string) (number int, events []eventsv1.Event) {
	t.Helper()
	var list eventsv1.EventList
	if err := s.Client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.Reason == reason {
			first, _, _ := strings.Cut(e.Note, " ")
			n, err := strconv.Atoi(first)
			if err != nil {
				t.Errorf("the note does not begin with a number: %s", e.Note)
			}
			number += n
			events = append(events, e)
		}
	}
	return number, events
}

// counter reads a metric of this process, in which other tests count as well.
func counter(t *testing.T, name string, severity v1alpha1.Severity) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == string(severity) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s{severity=%q}", name, severity)
	return 0
}

const long = 1000 * time.Hour

func limits(limit, batch int) controllers.Options {
	return controllers.Options{
		EventRetention: retention.Policy{Ages: retention.Ages{long, long, long, long}, Limit: limit, Batch: batch},
	}
}

// TestRetention runs one after the other, each with a manager of its own, on one cluster.
func TestRetention(t *testing.T) {
	t.Parallel()
	c, err := cluster.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	s := &store{Cluster: c}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *store)
	}{
		{"events go by age", eventsGoByAge},
		{"one too many goes, the lowest severity first", oneTooManyGoes},
		{"a storm is shed in batches", stormIsShedInBatches},
		{"what was reported while nobody led is evaluated first", unevaluatedIsKept},
		{"refused deletes are tried again", refusedDeletes},
		{"events that wait for something else", eventsWithFinalizers},
		{"memory", memoryLimit},
		{"notifications", notifications},
		{"the quota of the documentation", quotaOfTheDocumentation},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Cleanup(func() { s.clean(t) })
			test.run(t, s)
		})
	}
}

func eventsGoByAge(t *testing.T, s *store) {
	ns := s.Namespace(t)
	expired := counter(t, "tocsin_events_expired_total", v1alpha1.SeverityInfo)
	stop := s.lead(t, controllers.Options{EventRetention: retention.Policy{
		Ages: retention.Ages{3 * time.Second, long, long, long}, Limit: 1000,
	}})
	s.report(t, ns, v1alpha1.SeverityInfo, 3)
	s.report(t, ns, v1alpha1.SeverityWarning, 2)
	var young v1alpha1.SecurityEventList
	if err := s.Client.List(t.Context(), &young, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	oldest := slices.MinFunc(young.Items, func(a, b v1alpha1.SecurityEvent) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	s.awaitKept(t, ns, v1alpha1.SeverityInfo, none, "expiry")
	if n := s.kept(t, ns, v1alpha1.SeverityWarning); n != 2 {
		t.Errorf("%d Warnings are left, want 2", n)
	}
	one, many := s.wire.seen()
	if len(one) != 3 || len(many) != 0 {
		t.Errorf("%d and %d requests, want one for each event", len(one), len(many))
	}
	for _, d := range one {
		if due := oldest.CreationTimestamp.Add(3 * time.Second); d.at.Before(due) {
			t.Errorf("deleted %s early", due.Sub(d.at))
		}
	}
	stop()
	if n := counter(t, "tocsin_events_expired_total", v1alpha1.SeverityInfo) - expired; n != 3 {
		t.Errorf("%v were counted, want 3", n)
	}
	if n, _ := s.told(t, ns, "EventsShed"); n != 0 {
		t.Errorf("it is told that %d were shed; they expired", n)
	}
}

func oneTooManyGoes(t *testing.T, s *store) {
	a, b := s.Namespace(t), s.Namespace(t)
	s.lead(t, limits(20, 10))
	s.report(t, a, v1alpha1.SeverityWarning, 8)
	s.report(t, b, v1alpha1.SeverityWarning, 6)
	s.report(t, b, v1alpha1.SeverityCritical, 6)
	oldest := detection(a, "ws", "Worm")
	oldest.Spec.Severity = v1alpha1.SeverityInfo
	s.Create(t, oldest)
	s.awaitKept(t, a, v1alpha1.SeverityInfo, none, "the lowest severity")
	s.report(t, b, v1alpha1.SeverityCritical, 1)
	s.awaitKept(t, a, v1alpha1.SeverityWarning, func(n int) bool { return n == 7 }, "the namespace with most")
	if warnings, critical := s.kept(t, b, v1alpha1.SeverityWarning), s.kept(t, b, v1alpha1.SeverityCritical); warnings != 6 || critical != 7 {
		t.Errorf("%d Warnings and %d Criticals are left, want 6 and 7", warnings, critical)
	}
	if _, many := s.wire.seen(); len(many) != 0 {
		t.Errorf("%d requests for many", len(many))
	}
}

var shedNote = regexp.MustCompile(`^\d+ SecurityEvents of severity Info were deleted before their time since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\. ` +
	`--event-limit of the manager is 300 for the whole cluster`)

func stormIsShedInBatches(t *testing.T, s *store) {
	quiet, storm := s.Namespace(t), s.Namespace(t)
	all := condition(storm, "all", "Custom")
	count := int32(10000)
	all.Spec.Threshold = &v1alpha1.Threshold{Count: &count}
	s.Create(t, all)
	shed := counter(t, "tocsin_events_shed_total", v1alpha1.SeverityInfo)
	kept := counter(t, "tocsin_events_kept", v1alpha1.SeverityInfo)
	stop := s.lead(t, limits(300, 30))
	s.Until(t, all, func() error { return reasonIs(all.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonReady) })

	s.report(t, quiet, v1alpha1.SeverityInfo, 40)
	s.report(t, storm, v1alpha1.SeverityCritical, 8)
	const n = 1600
	s.report(t, storm, v1alpha1.SeverityInfo, n)
	s.awaitKept(t, storm, v1alpha1.SeverityInfo, atMost(252), "shedding")
	s.Until(t, all, func() error {
		if all.Status.MatchedTotal != n+8 {
			return fmt.Errorf("%d were evaluated, want %d", all.Status.MatchedTotal, n+8)
		}
		return nil
	})
	stop()
	left := s.kept(t, storm, v1alpha1.SeverityInfo)
	if q, c := s.kept(t, quiet, v1alpha1.SeverityInfo), s.kept(t, storm, v1alpha1.SeverityCritical); q != 40 || c != 8 || left != 252 {
		t.Errorf("%d of the quiet namespace, %d Criticals and %d of the storm are left, want 40, 8 and 252", q, c, left)
	}
	one, many := s.wire.seen()
	t.Logf("%d events: %d requests for many, %d for one", n, len(many), len(one))
	if len(one)+len(many) > n/10 {
		t.Errorf("%d events took %d requests for many and %d for one", n, len(many), len(one))
	}
	for _, d := range many {
		for _, e := range d.listed {
			if position, _ := strconv.ParseUint(e.ResourceVersion, 10, 64); position > d.upTo {
				t.Errorf("an event at %d was deleted, which had been evaluated up to %d", position, d.upTo)
			}
		}
	}
	if got := counter(t, "tocsin_events_shed_total", v1alpha1.SeverityInfo) - shed; int(got) != n-left {
		t.Errorf("%v were counted, want %d", got, n-left)
	}
	if got := counter(t, "tocsin_events_kept", v1alpha1.SeverityInfo) - kept; int(got) != left+40 {
		t.Errorf("%v are counted as kept, want %d", got, left+40)
	}
	told, events := s.told(t, storm, "EventsShed")
	if told != n-left {
		t.Errorf("it is told that %d were shed, want %d", told, n-left)
	}
	for _, e := range events {
		if e.Type != corev1.EventTypeWarning || e.Regarding.Kind != "Namespace" || e.Regarding.Name != storm || !shedNote.MatchString(e.Note) {
			t.Errorf("Event is %+v", e)
		}
	}
	if n, _ := s.told(t, quiet, "EventsShed"); n != 0 {
		t.Errorf("%d were shed in the quiet namespace", n)
	}
}

// Events that were created while no manager ran have outlived their age, and are too many: a condition counts them all the same.
func unevaluatedIsKept(t *testing.T, s *store) {
	ns := s.Namespace(t)
	options := limits(100, 50)
	options.EventRetention.Ages = retention.Ages{time.Second, long, long, long}
	all := condition(ns, "all", "Custom")
	count := int32(10000)
	all.Spec.Threshold = &v1alpha1.Threshold{Count: &count, Window: "1s"}
	s.Create(t, all)
	for round := range int64(2) {
		s.report(t, ns, v1alpha1.SeverityInfo, 40)
		s.report(t, ns, v1alpha1.SeverityCritical, 200)
		stop := s.lead(t, options)
		s.awaitKept(t, ns, v1alpha1.SeverityInfo, none, "expiry")
		s.awaitKept(t, ns, v1alpha1.SeverityCritical, atMost(149), "shedding")
		s.Until(t, all, func() error {
			if want := 240 * (round + 1); all.Status.MatchedTotal != want {
				return fmt.Errorf("%d were evaluated, want %d", all.Status.MatchedTotal, want)
			}
			return nil
		})
		stop()
	}
}

func refusedDeletes(t *testing.T, s *store) {
	bad, good := s.Namespace(t), s.Namespace(t)
	s.lead(t, controllers.Options{EventRetention: retention.Policy{
		Ages: retention.Ages{time.Second, long, long, long}, Limit: 1000,
	}})
	s.wire.refuseWith(func(r *http.Request) *http.Response {
		if strings.Contains(r.URL.Path, "/"+bad+"/") {
			return forbidden(r)
		}
		return nil
	})
	s.report(t, bad, v1alpha1.SeverityInfo, 16)
	s.report(t, good, v1alpha1.SeverityInfo, 2)
	s.awaitKept(t, good, v1alpha1.SeverityInfo, none, "expiry elsewhere")
	var refused []deletion
	cluster.Eventually(t, "three attempts", func(context.Context) error {
		refused = nil
		one, _ := s.wire.seen()
		for _, d := range one {
			if d.namespace == bad {
				refused = append(refused, d)
			}
		}
		if len(refused) < 3 {
			return fmt.Errorf("there were %d", len(refused))
		}
		return nil
	})
	if first, second := refused[1].at.Sub(refused[0].at), refused[2].at.Sub(refused[1].at); first < 900*time.Millisecond || second < 2*first*8/10 {
		t.Errorf("tried again after %s and then after %s, want a second or more and then twice as long", first, second)
	}
	s.wire.refuseWith(nil)
	s.awaitKept(t, bad, v1alpha1.SeverityInfo, none, "expiry")
}

// Finalizers keep events from going; those that come first by name would keep a request for many from deleting any.
func eventsWithFinalizers(t *testing.T, s *store) {
	ns := s.Namespace(t)
	var stuck []*v1alpha1.SecurityEvent
	for i := range 30 {
		e := detection(ns, "ws", "Worm")
		e.Spec.Severity, e.GenerateName, e.Name = v1alpha1.SeverityInfo, "", fmt.Sprintf("a-%02d", i)
		e.Finalizers = []string{"example.com/never"}
		s.Create(t, e)
		stuck = append(stuck, e)
	}
	t.Cleanup(func() {
		for _, e := range stuck {
			_ = s.Client.Patch(context.Background(), e, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
		}
	})
	s.lead(t, limits(50, 20))
	s.report(t, ns, v1alpha1.SeverityInfo, 120)
	s.awaitKept(t, ns, v1alpha1.SeverityInfo, atMost(50+30), "shedding of the others")
}

func memoryLimit(t *testing.T, s *store) {
	ns := s.Namespace(t)
	options := limits(1000, 10)
	options.EventRetention.MemoryLimit = 128 << 10
	s.lead(t, options)
	for range 40 {
		e := detection(ns, "ws", "Worm")
		e.Spec.Description = strings.Repeat("x", 4096)
		s.Create(t, e)
	}
	s.awaitKept(t, ns, v1alpha1.SeverityCritical, func(n int) bool { return n > 10 && n < 25 }, "shedding")
	cluster.Eventually(t, "the Event", func(context.Context) error {
		_, events := s.told(t, ns, "EventsShed")
		if len(events) == 0 || !strings.Contains(events[0].Note, "--event-memory-limit of the manager is 128Ki") {
			return fmt.Errorf("events are %+v", events)
		}
		return nil
	})
}

// ahead is a clock by which all that was just created is ten minutes old.
type ahead struct{ clock.RealClock }

func (ahead) Now() time.Time { return time.Now().Add(10 * time.Minute) }

func notifications(t *testing.T, s *store) {
	ns := s.Namespace(t)
	log := func(severity v1alpha1.Severity, deliveries ...v1alpha1.Delivery) *v1alpha1.Notification {
		n := &v1alpha1.Notification{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: strings.ToLower(string(severity)) + "-"},
			Spec: v1alpha1.NotificationSpec{
				Type: "Custom", Severity: severity, Deliveries: deliveries,
				Condition: &v1alpha1.ConditionSnapshot{Name: "c", UID: "1", Generation: 1, Threshold: v1alpha1.EffectiveThreshold{
					Count: 1, Window: "1m", Scope: v1alpha1.ScopeAnyComputer,
				}},
				Trigger: &v1alpha1.Trigger{Reason: v1alpha1.TriggerThresholdReached, Time: metav1.Now(), Sequence: 1},
			},
		}
		s.Create(t, n)
		return n
	}
	var pending []*v1alpha1.Notification
	for range 2 {
		pending = append(pending, log(v1alpha1.SeverityWarning, v1alpha1.Delivery{Channel: "missing"}))
		log(v1alpha1.SeverityCritical)
	}
	expired := log(v1alpha1.SeverityInfo)
	for range 4 {
		log(v1alpha1.SeverityWarning)
	}
	stop := s.lead(t, controllers.Options{})
	s.Until(t, expired, func() error {
		return reasonIs(expired.Status.Conditions, v1alpha1.SucceededCondition, v1alpha1.ReasonLogged)
	})
	stop()
	stop = s.lead(t, controllers.Options{Clock: ahead{}, NotificationRetention: retention.Policy{
		Ages: retention.Ages{5 * time.Minute, long, long, long}, Limit: 6,
	}})
	cluster.Eventually(t, "retention", func(context.Context) error {
		if n := len(s.Notifications(t, ns)); n != 6 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
	stop()
	left := map[v1alpha1.Severity]int{}
	for _, n := range s.Notifications(t, ns) {
		left[n.Spec.Severity]++
	}
	if left[v1alpha1.SeverityWarning] != 4 || left[v1alpha1.SeverityCritical] != 2 {
		t.Errorf("left are %v, want 4 warnings, 2 of them not finished, and all that is critical", left)
	}
	for _, n := range pending {
		s.Get(t, n)
	}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(expired), expired); client.IgnoreNotFound(err) != nil || err == nil {
		t.Error(errors.New("the notification that reached its age is still there"), err)
	}
	told, events := s.told(t, ns, "NotificationsShed")
	if told != 2 || len(events) == 0 || !strings.Contains(events[0].Note, "Notifications of severity Warning") {
		t.Errorf("it is told that %d were shed: %+v", told, events)
	}
}

// The quota's numbers are kept by kube-controller-manager, which this cluster has not: the test writes them in its place.
func quotaOfTheDocumentation(t *testing.T, s *store) {
	page, err := os.ReadFile(filepath.Join(cluster.Root(), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, _ := strings.Cut(string(page), "```yaml\napiVersion: v1\nkind: ResourceQuota")
	manifest, _, _ = strings.Cut("apiVersion: v1\nkind: ResourceQuota"+manifest, "```")
	quota := &corev1.ResourceQuota{}
	if err := yaml.UnmarshalStrict([]byte(manifest), quota); err != nil {
		t.Fatal(err)
	}
	ns := s.Namespace(t)
	quota.Namespace = ns
	s.Create(t, quota)
	quota.Status.Hard, quota.Status.Used = quota.Spec.Hard, quota.Spec.Hard
	if err := s.Client.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	cluster.Eventually(t, "the refusal", func(ctx context.Context) error {
		err := s.Client.Create(ctx, detection(ns, "ws", "Worm"))
		if err == nil || !strings.Contains(err.Error(), "exceeded quota: security-events") {
			return fmt.Errorf("the answer is %w", err)
		}
		return nil
	})
}
