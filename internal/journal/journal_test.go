// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/window"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func firing(t *testing.T, change func(*v1alpha1.NotificationCondition)) plan.Firing {
	t.Helper()
	c := &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "outbreak", UID: "c0ffee", Generation: 3},
		Spec:       v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak"},
	}
	if change != nil {
		change(c)
	}
	rule, err := plan.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Firing{
		Rule: rule, Sequence: 2, Reason: v1alpha1.TriggerStillReached, Time: noon, Held: 7, UpTo: 4711,
		Window: window.Summary{
			Occurrences: 9, Computers: 2, ComputerNames: []string{"ws-2", "ws-1"}, Risks: []string{"Worm"},
			First: noon.Add(-time.Hour), Last: noon.Add(-time.Minute), Severity: v1alpha1.SeverityCritical.Number(),
		},
		Event: &v1alpha1.SecurityEvent{
			ObjectMeta: metav1.ObjectMeta{Name: "worm-9", UID: "e9", CreationTimestamp: metav1.NewTime(noon.Add(-time.Minute))},
			Spec: v1alpha1.SecurityEventSpec{
				Type: "RiskDetected", Severity: v1alpha1.SeverityWarning, Title: "Malicious object detected",
				Computer: &v1alpha1.Computer{Name: "ws-2"}, Risk: &v1alpha1.Risk{Name: "Worm"},
			},
		},
	}
}

func mail(name string, change func(*v1alpha1.NotificationChannelSpec)) v1alpha1.NotificationChannel {
	c := v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelEmail, Email: &v1alpha1.EmailChannel{
			Recipients: []v1alpha1.MailAddress{"soc@example.com"}, Subject: "%SEVERITY% on %COMPUTER%", Message: "%HELD% held",
		}},
	}
	if change != nil {
		change(&c.Spec)
	}
	return c
}

func TestComposeGolden(t *testing.T) {
	t.Parallel()
	f := firing(t, func(c *v1alpha1.NotificationCondition) {
		c.Spec.Actions = []v1alpha1.Action{
			{ChannelRef: v1alpha1.ChannelReference{Name: "soc-mail"}, Email: &v1alpha1.EmailOverride{
				Recipients: []v1alpha1.MailAddress{"ciso@example.com"}, Subject: "OUTBREAK of %RISK%"}},
			{ChannelRef: v1alpha1.ChannelReference{Name: "not-there-yet"}},
		}
	})
	n := journal.Compose(f, []v1alpha1.NotificationChannel{mail("soc-mail", nil)})
	got, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/outbreak.golden.yaml"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error("the notification differs (-want +got); -update writes it anew:", diff)
	}
}

func TestDefaultChannelsInOrder(t *testing.T) {
	t.Parallel()
	isDefault := func(s *v1alpha1.NotificationChannelSpec) { s.Default = true }
	n := journal.Compose(firing(t, nil), []v1alpha1.NotificationChannel{
		mail("z", isDefault), mail("other", nil), mail("a", isDefault),
	})
	var names []string
	for _, d := range n.Spec.Deliveries {
		names = append(names, d.Channel)
	}
	if got := strings.Join(names, " "); got != "a z" {
		t.Errorf("goes through %q, want the two defaults in order", got)
	}
	if n := journal.Compose(firing(t, nil), nil); len(n.Spec.Deliveries) != 0 {
		t.Errorf("without channels there are deliveries: %+v", n.Spec.Deliveries)
	}
}

func TestNamesTellDecisionsApart(t *testing.T) {
	t.Parallel()
	base := journal.Name("outbreak", "uid", "", 1)
	if again := journal.Name("outbreak", "uid", "", 1); again != base {
		t.Errorf("the same decision is called %s and %s", base, again)
	}
	for what, other := range map[string]string{
		"another condition of that name": journal.Name("outbreak", "other", "", 1),
		"another key":                    journal.Name("outbreak", "uid", "ws-1", 1),
		"the next one":                   journal.Name("outbreak", "uid", "", 2),
		"a key that ends like a number":  journal.Name("outbreak", "uid", "1", 0),
	} {
		if other == base {
			t.Errorf("%s has the same name", what)
		}
	}
}

func TestNewestIsTheHighestOfEachKey(t *testing.T) {
	t.Parallel()
	entry := func(uid types.UID, key string, sequence int64) v1alpha1.Notification {
		return v1alpha1.Notification{Spec: v1alpha1.NotificationSpec{
			Condition: &v1alpha1.ConditionSnapshot{UID: uid}, Trigger: &v1alpha1.Trigger{Key: key, Sequence: sequence},
		}}
	}
	newest := journal.Newest([]v1alpha1.Notification{
		entry("c", "", 9), entry("c", "", 10), entry("c", "ws", 1), entry("d", "", 3), {Spec: v1alpha1.NotificationSpec{Type: "Test"}},
	})
	got := map[string]int64{}
	for _, n := range newest {
		got[string(n.Spec.Condition.UID)+"/"+n.Spec.Trigger.Key] = n.Spec.Trigger.Sequence
	}
	if diff := cmp.Diff(map[string]int64{"c/": 10, "c/ws": 1, "d/": 3}, got); diff != "" {
		t.Error("(-want +got):", diff)
	}
}

// FuzzName: whatever a condition is called, Kubernetes takes the name, and a label is either valid or left out.
func FuzzName(f *testing.F) {
	f.Add("outbreak", "ws-1", int64(1))
	f.Add(strings.Repeat("a.", 126)+"z", "", int64(7))
	f.Fuzz(func(t *testing.T, condition, key string, sequence int64) {
		if len(validation.IsDNS1123Subdomain(condition)) > 0 {
			t.Skip()
		}
		name := journal.Name(condition, "uid", key, sequence)
		if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 {
			t.Errorf("%q: %v", name, wrong)
		}
		n := journal.Compose(firing(t, func(c *v1alpha1.NotificationCondition) { c.Name = condition }), nil)
		for label, value := range n.Labels {
			if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
				t.Errorf("%s=%q: %v", label, value, wrong)
			}
		}
	})
}
