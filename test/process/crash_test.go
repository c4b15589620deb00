// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

var (
	seed   = flag.Uint64("seed", 0, "seed of the crash tests' events and moments; 0: another one each time")
	rounds = flag.Int("rounds", 16, "how often the crash test kills the manager; a leader is killed a quarter as often")
)

// watched are the conditions that must be decided about as if nobody was ever killed. Their windows and dampers are so
// short that they fire, repeat and clear many times while managers come and go.
var watched = map[string]v1alpha1.NotificationConditionSpec{
	"every":          rule(1, "2s", v1alpha1.ScopeAnyComputer, "4s", v1alpha1.DamperPerCondition),
	"many":           rule(25, "2s", v1alpha1.ScopeAnyComputer, "2s", v1alpha1.DamperPerCondition),
	"part-of-many":   rule(30, "3s", v1alpha1.ScopeAnyComputer, "4s", v1alpha1.DamperPerComputer),
	"many-of-one":    rule(10, "4s", v1alpha1.ScopeAnyComputer, "3s", v1alpha1.DamperPerRisk),
	"on-one":         rule(8, "3s", v1alpha1.ScopeSingleComputer, "3s", v1alpha1.DamperPerCondition),
	"on-each":        rule(6, "3s", v1alpha1.ScopeSingleComputer, "2s", v1alpha1.DamperPerComputer),
	"spread":         rule(5, "2s", v1alpha1.ScopeDistinctComputers, "3s", v1alpha1.DamperPerCondition),
	"spread-of-one":  rule(3, "3s", v1alpha1.ScopeDistinctComputers, "6s", v1alpha1.DamperPerRisk),
	"used-up":        rule(15, "5s", v1alpha1.ScopeAnyComputer, v1alpha1.DamperNone, v1alpha1.DamperPerCondition),
	"used-up-on-one": rule(4, "5s", v1alpha1.ScopeSingleComputer, v1alpha1.DamperNone, v1alpha1.DamperPerRisk),
	"spread-used-up": rule(5, "5s", v1alpha1.ScopeDistinctComputers, v1alpha1.DamperNone, v1alpha1.DamperPerCondition),
	"worms":          of("W*", rule(6, "4s", v1alpha1.ScopeAnyComputer, "3s", v1alpha1.DamperPerCondition)),
	"over":           cleared(rule(20, "2s", v1alpha1.ScopeAnyComputer, "2s", v1alpha1.DamperPerCondition)),
	"over-on-each":   cleared(rule(4, "2s", v1alpha1.ScopeSingleComputer, "3s", v1alpha1.DamperPerComputer)),
	"over-at-once":   cleared(rule(5, "2s", v1alpha1.ScopeDistinctComputers, v1alpha1.DamperNone, v1alpha1.DamperPerCondition)),
	"new":            {Type: "NewRiskDetected"},
}

func rule(count int32, window v1alpha1.Duration, scope v1alpha1.Scope, damper v1alpha1.DamperPeriod,
	per v1alpha1.DamperPer) v1alpha1.NotificationConditionSpec {
	return v1alpha1.NotificationConditionSpec{
		Type:      "Custom",
		Threshold: &v1alpha1.Threshold{Count: &count, Window: window, Scope: scope},
		Damper:    &v1alpha1.Damper{Period: damper, Per: per},
	}
}

func of(risk v1alpha1.Wildcard, spec v1alpha1.NotificationConditionSpec) v1alpha1.NotificationConditionSpec {
	spec.Filter = &v1alpha1.EventFilter{Risks: []v1alpha1.Wildcard{risk}}
	return spec
}

func cleared(spec v1alpha1.NotificationConditionSpec) v1alpha1.NotificationConditionSpec {
	spec.NotifyWhenCleared = true
	return spec
}

// TestKilledAtRandomMomentsItTellsWhatOneRunWouldHave is invariant I1. In some rounds nobody is there for a while.
func TestKilledAtRandomMomentsItTellsWhatOneRunWouldHave(t *testing.T) {
	o := begin(t)
	for range *rounds {
		p := start(t)
		o.pass(2 * time.Second)
		p.kill()
		o.pass(pick(o.random, 0, 0, 2*time.Second))
	}
	start(t)
	o.end()
}

// TestWithLeadersKilledAtRandomMomentsTheyTellWhatOneRunWouldHave is the same with another manager that takes over.
func TestWithLeadersKilledAtRandomMomentsTheyTellWhatOneRunWouldHave(t *testing.T) {
	elect := []string{"--leader-elect", "--leader-election-namespace=tocsin-system", "--leader-election-lease=4s"}
	before := leading()
	o := begin(t)
	leader := start(t, elect...)
	for range *rounds / 4 {
		cluster.Eventually(t, "taking over", func(context.Context) error {
			if leading() == before {
				return errors.New("nobody leads")
			}
			return nil
		})
		standby := start(t, elect...)
		o.pass(2 * time.Second)
		before = leading()
		leader.kill()
		leader = standby
	}
	o.end()
}

// leading is who leads, or led last; empty if nobody ever did.
func leading() string {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: "tocsin-system", Name: "manager.tocsin.dev"}
	if err := k8s.Client.Get(context.Background(), key, lease); err != nil {
		return ""
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// outbreak is what happens while managers come and go: writers create events until it ends.
type outbreak struct {
	*testing.T
	seed       uint64
	random     *rand.Rand
	namespace  string
	conditions []*v1alpha1.NotificationCondition
	// stop ends the writers.
	stop func()
}

func begin(t *testing.T) *outbreak {
	t.Helper()
	o := &outbreak{T: t, seed: *seed, namespace: k8s.Namespace(t)}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	o.random = rand.New(rand.NewPCG(o.seed, 0))
	for name, spec := range watched {
		c := &v1alpha1.NotificationCondition{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: name}, Spec: spec}
		k8s.Create(t, c)
		o.conditions = append(o.conditions, c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var writers sync.WaitGroup
	o.stop = func() { cancel(); writers.Wait() }
	for i := range uint64(4) {
		writers.Go(func() { o.write(ctx, rand.New(rand.NewPCG(o.seed, 1+i))) })
	}
	t.Cleanup(func() {
		o.stop()
		if t.Failed() {
			t.Logf("-seed=%d; the events:\n%s", o.seed, o.story())
		}
	})
	return o
}

// pass lets some time pass.
func (o *outbreak) pass(atMost time.Duration) {
	time.Sleep(time.Duration(o.random.Int64N(int64(atMost) + 1)))
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// write creates events, some in a row, and with pauses in which dampers end.
func (o *outbreak) write(ctx context.Context, r *rand.Rand) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pick(r, 0, 0, 0, 100*time.Millisecond, 300*time.Millisecond, time.Second, 3*time.Second)):
		}
		now := time.Now()
		e := sighting(r, o.namespace, now)
		if err := k8s.Client.Create(context.Background(), e); err != nil {
			o.Errorf("creating an event: %v", err)
			return
		}
		if took := time.Since(now); took > time.Second/2 { // so slow a machine explains much
			o.Logf("creating the event at %s took %s", e.ResourceVersion, took)
		}
	}
}

// sighting is an event that happened now, some time ago or, by its reporter's clock, in the future.
func sighting(r *rand.Rand, ns string, now time.Time) *v1alpha1.SecurityEvent {
	e := detection(ns, pick(r, "ws-1", "ws-2", "ws-3", "WS-3", "ws-4", "ws-5", "ws-6"))
	e.Spec.Risk.Name = pick(r, "Trojan", "Worm", "WORM", fmt.Sprint("Variant-", r.IntN(30)))
	if r.IntN(10) == 0 {
		e.Spec.Computer, e.Spec.Risk = nil, nil
	}
	if count := pick[int32](r, 0, 0, 0, 0, 1, 2, 5); count > 0 {
		e.Spec.Count = &count
	}
	if ago := pick(r, 0, 0, 0, 0, 0, 0, 1, 2, 5, 60, -2, -3600); ago != 0 {
		e.Spec.Time = ptr.To(metav1.NewTime(now.Add(-time.Duration(ago) * time.Second)))
		if lasted := pick(r, 0, 0, 1, 10); lasted != 0 {
			e.Spec.LastTime = ptr.To(metav1.NewTime(e.Spec.Time.Add(time.Duration(lasted) * time.Second)))
		}
	}
	return e
}

// end stops the writers and waits until the managers have left what one run leaves. As the numbers say that no damper runs
// any longer, nothing can come after that.
func (o *outbreak) end() {
	o.Helper()
	o.stop()
	want := o.uninterrupted()
	for _, reason := range []v1alpha1.TriggerReason{
		v1alpha1.TriggerThresholdReached, v1alpha1.TriggerStillReached, v1alpha1.TriggerCleared,
	} {
		if n := want.told(reason); n < 5 {
			o.Fatalf("seed %d: only %d notifications are %s: this proves nothing", o.seed, n, reason)
		}
	}
	cluster.Eventually(o, "after the outbreak", func(context.Context) error {
		if diff := want.diff(o.left()); diff != "" {
			return fmt.Errorf("seed %d (-want +got):\n%s", o.seed, diff)
		}
		return nil
	})
}

// left is what the managers have left.
func (o *outbreak) left() aftermath {
	o.Helper()
	a := aftermath{map[string]string{}, map[string]numbers{}}
	for _, c := range o.conditions {
		k8s.Get(o, c)
		a.count(c)
	}
	for _, n := range k8s.Notifications(o, o.namespace) {
		a.tell(&n)
	}
	return a
}

// uninterrupted is what one run leaves: all events in the order of creation, and then time for all dampers to end.
func (o *outbreak) uninterrupted() aftermath {
	o.Helper()
	a := aftermath{map[string]string{}, map[string]numbers{}}
	events := o.created()
	for _, c := range o.conditions {
		k8s.Get(o, c)
		rule, err := plan.Compile(c, 0)
		if err != nil {
			o.Fatal(err)
		}
		w := plan.NewWatch(rule)
		var firings []plan.Firing
		for _, e := range events {
			_, now := w.Observe(plan.NewEvent(&e, plan.ParsePosition(e.ResourceVersion)))
			firings = append(firings, now...)
		}
		for _, f := range append(firings, w.Advance(time.Now().Add(time.Hour))...) {
			a.tell(stored(o, journal.Compose(f, nil)))
		}
		once := &v1alpha1.NotificationCondition{ObjectMeta: c.ObjectMeta}
		w.Describe(&once.Status, 0)
		a.count(stored(o, once))
	}
	return a
}

// created are the events in the order of creation.
func (o *outbreak) created() []v1alpha1.SecurityEvent {
	o.Helper()
	var list v1alpha1.SecurityEventList
	if err := k8s.Client.List(context.Background(), &list, client.InNamespace(o.namespace)); err != nil {
		o.Fatalf("listing events: %v", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.SecurityEvent) int {
		return cmp.Compare(plan.ParsePosition(a.ResourceVersion), plan.ParsePosition(b.ResourceVersion))
	})
	return list.Items
}

// story tells the events to somebody who wants to know what went wrong.
func (o *outbreak) story() string {
	o.Helper()
	var lines strings.Builder
	for _, e := range o.created() {
		spec, err := json.Marshal(e.Spec)
		if err != nil {
			o.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s at %s: %s %s\n", e.ResourceVersion, clock(&e.CreationTimestamp), e.Name, spec)
	}
	return lines.String()
}

// stored is an object as the API gives it back: in whole seconds.
func stored[T any](t testing.TB, object *T) *T {
	t.Helper()
	back := new(T)
	data, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(data, back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// aftermath is what an outbreak leaves behind: the log and the numbers of the conditions, by name.
type aftermath struct {
	log     map[string]string
	numbers map[string]numbers
}

// numbers are those of a condition's status that do not depend on when it was written.
type numbers struct {
	Matched, Held, Fired int64
	LastFired            *metav1.Time
	Dampers              []v1alpha1.DamperStatus
	KnownRisks           []string
}

func (a aftermath) count(c *v1alpha1.NotificationCondition) {
	s := &c.Status
	a.numbers[c.Name] = numbers{s.MatchedTotal, s.HeldTotal, s.FiredTotal, s.LastFiredTime, s.Dampers, s.KnownRisks}
}

func (a aftermath) tell(n *v1alpha1.Notification) {
	x := n.Spec.Trigger
	event := "no event"
	if x.Event != nil {
		event = x.Event.Name
	}
	a.log[n.Name] = fmt.Sprintf("%q #%d %s at %s: %d occurrences on %d (%s; %s) from %s to %s, %s, %s, %d held, up to %s",
		x.Key, x.Sequence, x.Reason, clock(&x.Time), x.Occurrences, x.Computers, strings.Join(x.ComputerNames, " "),
		strings.Join(x.Risks, " "), clock(x.FirstTime), clock(x.LastTime), n.Spec.Severity, event, x.Held, x.UpTo)
}

func (a aftermath) told(reason v1alpha1.TriggerReason) (n int) {
	for _, line := range a.log {
		if strings.Contains(line, " "+string(reason)+" at ") {
			n++
		}
	}
	return n
}

// diff is what this one has and the other has not, and the other way round.
func (a aftermath) diff(b aftermath) string {
	return missing("-", a.log, b.log) + missing("+", b.log, a.log) + gocmp.Diff(a.numbers, b.numbers)
}

func missing(sign string, of, in map[string]string) string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if of[name] != in[name] {
			fmt.Fprintln(&lines, sign, name, of[name])
		}
	}
	return lines.String()
}

func clock(t *metav1.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.TimeOnly)
}
