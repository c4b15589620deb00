// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/window"
)

var update = flag.Bool("update", false, "write the golden file anew")

var t0 = time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// outbreak is the condition of the samples, with the actions given.
func outbreak(actions ...v1alpha1.Action) *v1alpha1.NotificationCondition {
	five := int32(5)
	return &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: "outbreak", UID: "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11", Generation: 3,
		},
		Spec: v1alpha1.NotificationConditionSpec{
			Type:      "RiskOutbreak",
			Threshold: &v1alpha1.Threshold{Count: &five, Window: "1h", Scope: v1alpha1.ScopeDistinctComputers},
			Actions:   actions,
		},
	}
}

// eicar is the event of the samples.
func eicar() *v1alpha1.SecurityEvent {
	return &v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: "eicar-x7k2p", UID: "0b0f6a52-9d0e-4c1b-8d53-7a9b3b5b1f00",
			CreationTimestamp: metav1.NewTime(t0.Add(time.Second)), Labels: map[string]string{"not": "copied"},
		},
		Spec: v1alpha1.SecurityEventSpec{
			Type: "RiskDetected", Severity: v1alpha1.SeverityWarning, Title: "Malicious object detected",
			Description: `Object C:\Temp\eicar.com detected: EICAR-Test-File`, Time: &metav1.Time{Time: t0},
			Computer: &v1alpha1.Computer{Name: "ws-0042", IP: "10.0.0.42", Domain: "CORP"},
			Risk:     &v1alpha1.Risk{Name: "EICAR-Test-File", Action: "Quarantined"},
		},
	}
}

func firing(t *testing.T, condition *v1alpha1.NotificationCondition) plan.Firing {
	t.Helper()
	rule, err := plan.Compile(condition, 0)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Firing{
		Rule: rule, Sequence: 2, Reason: v1alpha1.TriggerStillReached, Time: t0.Add(2 * time.Second),
		Window: window.Summary{
			Occurrences: 7, Computers: 5, ComputerNames: []string{"ws-0042", "ws-0041"}, Risks: []string{"EICAR-Test-File"},
			First: t0.Add(-time.Minute), Last: t0, Severity: v1alpha1.SeverityCritical.Number(),
		},
		Held: 3, Event: eicar(), UpTo: 4711,
	}
}

// mail is an e-mail channel.
func mail(name string, isDefault bool) v1alpha1.NotificationChannel {
	return v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: name},
		Spec: v1alpha1.NotificationChannelSpec{
			Type: v1alpha1.ChannelEmail, Default: isDefault,
			Email: &v1alpha1.EmailChannel{
				Recipients: []v1alpha1.MailAddress{v1alpha1.MailAddress(name + "@example.com"), "SOC <soc@example.com>"},
				Sender:     "tocsin@example.com",
				Subject:    v1alpha1.Subject(name + ": %EVENT%"),
				Message:    v1alpha1.Text(name + " says %DESCR%"),
			},
		},
	}
}

func action(channel string) v1alpha1.Action {
	return v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channel}}
}

// TestGolden: one notification as a whole. It holds all that was known when the decision was made, as the event, the
// condition and the channel may be gone when somebody reads it.
func TestGolden(t *testing.T) {
	t.Parallel()
	override := action("soc-mail")
	override.Email = &v1alpha1.EmailOverride{Recipients: []v1alpha1.MailAddress{"ciso@example.com"}, Subject: "OUTBREAK of %RISK%"}
	fired := firing(t, outbreak(override, action("quarantine")))
	cleared := firing(t, outbreak(action("soc-mail")))
	cleared.Reason, cleared.Sequence, cleared.LastFired = v1alpha1.TriggerCleared, 3, cleared.Time
	cleared.Time = cleared.Time.Add(time.Hour)
	cleared.Window = window.Summary{End: cleared.Time}
	for name, f := range map[string]plan.Firing{"outbreak": fired, "cleared": cleared} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := mail("soc-mail", true)
			if f.Reason == v1alpha1.TriggerCleared { // the standard text
				channel.Spec.Email.Subject, channel.Spec.Email.Message = "", ""
			}
			got, err := yaml.Marshal(journal.Compose(f, []v1alpha1.NotificationChannel{channel}))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			check(t, file+" differs; go test -update writes it anew", strings.Split(string(got), "\n"), strings.Split(string(want), "\n"))
		})
	}
}

// TestDeliveries: which channels, in which order, and what goes through them.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	type override = v1alpha1.EmailOverride
	overriding := func(o override) v1alpha1.Action {
		a := action("a")
		a.Email = &o
		return a
	}
	var many []v1alpha1.NotificationChannel
	for _, name := range strings.Split("t s r q p o n m l k j i h g f e d c b a", " ") {
		many = append(many, mail(name, true))
	}
	for name, tc := range map[string]struct {
		actions  []v1alpha1.Action
		channels []v1alpha1.NotificationChannel
		// want is channel: recipients: subject: end of the message
		want []string
	}{
		"no action and no default channel: the log alone": {
			channels: []v1alpha1.NotificationChannel{mail("a", false)},
		},
		"no action: the default channels, by name": {
			channels: []v1alpha1.NotificationChannel{mail("c", true), mail("b", false), mail("a", true)},
			want: []string{
				"a: a@example.com SOC <soc@example.com>: a: Malicious object detected: a says",
				"c: c@example.com SOC <soc@example.com>: c: Malicious object detected: c says",
			},
		},
		"actions: those channels, in that order, default or not": {
			actions:  []v1alpha1.Action{action("c"), action("b")},
			channels: []v1alpha1.NotificationChannel{mail("a", true), mail("b", false), mail("c", true)},
			want: []string{
				"c: c@example.com SOC <soc@example.com>: c: Malicious object detected: c says",
				"b: b@example.com SOC <soc@example.com>: b: Malicious object detected: b says",
			},
		},
		"an action replaces the recipients alone": {
			actions:  []v1alpha1.Action{overriding(override{Recipients: []v1alpha1.MailAddress{"ciso@example.com"}})},
			channels: []v1alpha1.NotificationChannel{mail("a", false)},
			want:     []string{"a: ciso@example.com: a: Malicious object detected: a says"},
		},
		"or the subject alone": {
			actions:  []v1alpha1.Action{overriding(override{Subject: "%RISK%!"})},
			channels: []v1alpha1.NotificationChannel{mail("a", false)},
			want:     []string{"a: a@example.com SOC <soc@example.com>: EICAR-Test-File!: a says"},
		},
		"or the message alone": {
			actions:  []v1alpha1.Action{overriding(override{Message: "We say %DESCR%"})},
			channels: []v1alpha1.NotificationChannel{mail("a", false)},
			want:     []string{"a: a@example.com SOC <soc@example.com>: a: Malicious object detected: We say"},
		},
		"a channel that does not exist: its own text and recipients come when it does": {
			actions: []v1alpha1.Action{action("a")},
			want:    []string{"a: : [Critical] Malicious object detected on ws-0042: Critical: Malicious object detected on ws-0042"},
		},
		"a channel that does not exist, but the action says whom to tell": {
			actions: []v1alpha1.Action{
				overriding(override{Recipients: []v1alpha1.MailAddress{"ciso@example.com"}, Subject: "Hello", Message: "We say %DESCR%"}),
			},
			want: []string{"a: ciso@example.com: Hello: We say"},
		},
		"a template that was never admitted: the default text is better than none": {
			actions:  []v1alpha1.Action{overriding(override{Subject: "%NOSUCH%", Message: "100%"})},
			channels: []v1alpha1.NotificationChannel{mail("a", false)},
			want: []string{"a: a@example.com SOC <soc@example.com>: [Critical] Malicious object detected on ws-0042: " +
				"Critical: Malicious object detected on ws-0042"},
		},
		"more default channels than a notification has room for: the first by name": {
			channels: many,
			want: func() (list []string) {
				for _, c := range strings.Split("a b c d e f g h i j k l m n o p", " ") {
					list = append(list, c+": "+c+"@example.com SOC <soc@example.com>: "+c+": Malicious object detected: "+c+" says")
				}
				return list
			}(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range journal.Compose(firing(t, outbreak(tc.actions...)), tc.channels).Spec.Deliveries {
				_, message, ok := strings.Cut(d.Message, "The condition still holds: its threshold is still reached.\n\n")
				if !ok || !strings.HasSuffix(d.Message, "\n\n3 further occurrences were held since the last notification.") {
					t.Errorf("the message does not tell that the condition still holds, or what was held:\n%s", d.Message)
				}
				message, _, _ = strings.Cut(message, "\n")
				message, _, _ = strings.Cut(message, " Object")
				got = append(got, d.Channel+": "+strings.Join(d.Recipients, " ")+": "+d.Subject+": "+message)
			}
			check(t, "deliveries", got, tc.want)
		})
	}
}

// TestSnapshot: what differs from the golden one.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		condition func(*v1alpha1.NotificationCondition)
		firing    func(*plan.Firing)
		field     func(*v1alpha1.Notification) any
		want      any
	}{
		"no damper": {
			condition: func(c *v1alpha1.NotificationCondition) {
				c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
			},
			field: func(n *v1alpha1.Notification) any { return n.Spec.Condition.Damper }, want: "",
		},
		"a damper of 90 minutes, written as people do": {
			condition: func(c *v1alpha1.NotificationCondition) { c.Spec.Damper = &v1alpha1.Damper{Period: "90m"} },
			field:     func(n *v1alpha1.Notification) any { return n.Spec.Condition.Damper }, want: "1h30m",
		},
		"the preset's threshold": {
			condition: func(c *v1alpha1.NotificationCondition) { c.Spec.Type, c.Spec.Threshold = "SingleRiskEvent", nil },
			field:     func(n *v1alpha1.Notification) any { return n.Spec.Condition.Threshold },
			want:      v1alpha1.EffectiveThreshold{Count: 1, Window: "1m", Scope: v1alpha1.ScopeAnyComputer},
		},
		"the key of the damper": {
			firing: func(f *plan.Firing) { f.Key = "ws-0042" },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Trigger.Key }, want: "ws-0042",
		},
		"an event without a time of its own: when it was created": {
			firing: func(f *plan.Firing) { f.Event.Spec.Time = nil },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Trigger.Event.Time.Time }, want: t0.Add(time.Second),
		},
		"no event is kept any longer": {
			firing: func(f *plan.Firing) { f.Event = nil },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Trigger.Event == nil }, want: true,
		},
		"an empty window has no times": {
			firing: func(f *plan.Firing) { f.Window = window.Summary{} },
			field: func(n *v1alpha1.Notification) any {
				return n.Spec.Trigger.FirstTime == nil && n.Spec.Trigger.LastTime == nil
			}, want: true,
		},
		"functional failure": {
			firing: func(f *plan.Firing) { f.Window.Severity = 3 },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Severity }, want: v1alpha1.SeverityFunctionalFailure,
		},
		"warning": {
			firing: func(f *plan.Firing) { f.Window.Severity = 2 },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Severity }, want: v1alpha1.SeverityWarning,
		},
		"info": {
			firing: func(f *plan.Firing) { f.Window.Severity = 1 },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Severity }, want: v1alpha1.SeverityInfo,
		},
		"all was quiet: nothing of a window, and no worse than info": {
			firing: func(f *plan.Firing) { f.Reason, f.Window = v1alpha1.TriggerCleared, window.Summary{End: t0} },
			field: func(n *v1alpha1.Notification) any {
				x := n.Spec.Trigger
				return []any{n.Spec.Severity, x.Occurrences, x.Computers, x.ComputerNames, x.Risks, x.FirstTime, x.LastTime}
			}, want: []any{
				v1alpha1.SeverityInfo, int64(0), int32(0), []string(nil), []string(nil), (*metav1.Time)(nil), (*metav1.Time)(nil),
			},
		},
		"all was quiet: when it last fired": {
			firing: func(f *plan.Firing) { f.Reason, f.LastFired = v1alpha1.TriggerCleared, t0.Add(-time.Hour) },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Trigger.LastFiredTime },
			want:   &metav1.Time{Time: t0.Add(-time.Hour)},
		},
		"it fired: nothing is said of when it last did": {
			field: func(n *v1alpha1.Notification) any { return n.Spec.Trigger.LastFiredTime }, want: (*metav1.Time)(nil),
		},
		"the event was deleted": {
			firing: func(f *plan.Firing) { f.Event = nil },
			field:  func(n *v1alpha1.Notification) any { return n.Spec.Trigger.Event }, want: (*v1alpha1.EventSnapshot)(nil),
		},
		"a severity that this version does not know": {
			firing: func(f *plan.Firing) { f.Window.Severity = 0 },
			field:  func(n *v1alpha1.Notification) any { return n.Labels[journal.LabelSeverity] }, want: "Info",
		},
		"a condition's name that is too long for a label is none": {
			condition: func(c *v1alpha1.NotificationCondition) { c.Name = strings.Repeat("a", 64) },
			field: func(n *v1alpha1.Notification) any {
				_, labelled := n.Labels[journal.LabelCondition]
				return labelled
			}, want: false,
		},
		"nobody knows who made the condition": {
			field: func(n *v1alpha1.Notification) any { return n.Spec.Creator }, want: "",
		},
		"who made the condition": {
			condition: func(c *v1alpha1.NotificationCondition) {
				c.Annotations = map[string]string{"tocsin.dev/creator": "jörg@example.com", "other": "x"}
			},
			field: func(n *v1alpha1.Notification) any { return n.Spec.Creator }, want: "jörg@example.com",
		},
		"the name of who made it is cut at a character": {
			condition: func(c *v1alpha1.NotificationCondition) {
				c.Annotations = map[string]string{"tocsin.dev/creator": strings.Repeat("ö", 257)}
			},
			field: func(n *v1alpha1.Notification) any { return n.Spec.Creator }, want: strings.Repeat("ö", 256),
		},
		"the day is that of the decision, in UTC": {
			firing: func(f *plan.Firing) {
				f.Time = time.Date(2026, 11, 23, 0, 30, 0, 0, time.FixedZone("", 3600))
			},
			field: func(n *v1alpha1.Notification) any { return n.Labels[journal.LabelDay] }, want: "2026-11-22",
		},
		"a channel's name that is too long for a label is none": {
			condition: func(c *v1alpha1.NotificationCondition) {
				c.Spec.Actions = []v1alpha1.Action{action(strings.Repeat("a", 64)), action(strings.Repeat("b", 63))}
			},
			field: func(n *v1alpha1.Notification) any {
				_, long := n.Labels[journal.ChannelLabels+strings.Repeat("a", 64)]
				_, short := n.Labels[journal.ChannelLabels+strings.Repeat("b", 63)]
				return []bool{long, short}
			}, want: []bool{false, true},
		},
		"a condition's name with a dot is one": {
			condition: func(c *v1alpha1.NotificationCondition) { c.Name = "soc.outbreak" },
			field:     func(n *v1alpha1.Notification) any { return n.Labels[journal.LabelCondition] }, want: "soc.outbreak",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition := outbreak()
			if tc.condition != nil {
				tc.condition(condition)
			}
			f := firing(t, condition)
			if tc.firing != nil {
				tc.firing(&f)
			}
			check(t, "field", tc.field(journal.Compose(f, nil)), tc.want)
		})
	}
}

// TestNothingIsShared: what stands in the log does not change with what it was made of.
func TestNothingIsShared(t *testing.T) {
	t.Parallel()
	f, channels := firing(t, outbreak(action("a"))), []v1alpha1.NotificationChannel{mail("a", false)}
	n := journal.Compose(f, channels)
	before := n.DeepCopy()
	f.Event.Spec.Computer.Name = "changed"
	f.Event.Spec.Risk.Name = "changed"
	channels[0].Spec.Email.Recipients[0] = "changed@example.com"
	check(t, "notification", n, before)
}

// TestSame: two of one name are the same decision when they say why, when and up to which event; times as the API stores
// them.
func TestSame(t *testing.T) {
	t.Parallel()
	trigger := func(reason v1alpha1.TriggerReason, at time.Time, upTo string) *v1alpha1.Notification {
		return &v1alpha1.Notification{Spec: v1alpha1.NotificationSpec{Trigger: &v1alpha1.Trigger{
			Reason: reason, Time: metav1.NewTime(at), UpTo: upTo,
		}}}
	}
	mine := trigger(v1alpha1.TriggerThresholdReached, t0, "7")
	for name, tc := range map[string]struct {
		other *v1alpha1.Notification
		want  bool
	}{
		"the same":                     {trigger(v1alpha1.TriggerThresholdReached, t0, "7"), true},
		"the same, in local time":      {trigger(v1alpha1.TriggerThresholdReached, t0.In(time.FixedZone("", 3600)), "7"), true},
		"another reason":               {trigger(v1alpha1.TriggerStillReached, t0, "7"), false},
		"another time":                 {trigger(v1alpha1.TriggerThresholdReached, t0.Add(time.Second), "7"), false},
		"another event":                {trigger(v1alpha1.TriggerThresholdReached, t0, "8"), false},
		"a test, which has no trigger": {&v1alpha1.Notification{}, false},
	} {
		if journal.Same(mine, tc.other) != tc.want || journal.Same(tc.other, mine) != tc.want {
			t.Errorf("%s: want %t, both ways", name, tc.want)
		}
	}
}

// TestSameDigest: digests are the same when they are of one channel and interval, whatever they are called and count.
func TestSameDigest(t *testing.T) {
	t.Parallel()
	digest := func(channel string, since time.Time, suppressed int64) *v1alpha1.Notification {
		of := &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Name: channel}}
		return journal.Digest(of, &v1alpha1.Digest{Since: metav1.NewTime(since), Suppressed: suppressed}, nil, nil)
	}
	mine := digest("mail", t0, 7)
	for name, tc := range map[string]struct {
		other *v1alpha1.Notification
		want  bool
	}{
		"the same":         {digest("mail", t0.In(time.FixedZone("", 3600)), 8), true},
		"another channel":  {digest("sms", t0, 7), false},
		"another interval": {digest("mail", t0.Add(time.Second), 7), false},
		"a test":           {&v1alpha1.Notification{}, false},
	} {
		if journal.Same(mine, tc.other) != tc.want || journal.Same(tc.other, mine) != tc.want {
			t.Errorf("%s: want %t, both ways", name, tc.want)
		}
	}
}

// TestBlank: enough to ask whether it is there.
func TestBlank(t *testing.T) {
	t.Parallel()
	f := firing(t, outbreak())
	blank, whole := journal.Blank(f), journal.Compose(f, nil)
	if blank.Namespace != "security" || blank.Name != whole.Name || blank.Namespace != whole.Namespace {
		t.Errorf("%s/%s is asked for, %s/%s written", blank.Namespace, blank.Name, whole.Namespace, whole.Name)
	}
}
