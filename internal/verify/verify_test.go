// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/preset"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

func pointer[T any](value T) *T { return &value }

// want is what a verdict must say: of a refusal, the fields and how the message goes on.
type want struct {
	reason      string
	field, text string
}

func (w want) check(t *testing.T, got status.Verdict) {
	t.Helper()
	refused := w.reason == v1alpha1.ReasonInvalid
	if got.Reason != w.reason || got.Ready != (w.reason == v1alpha1.ReasonReady) || got.Stalled != refused {
		t.Fatalf("%+v, want %s", got, w.reason)
	}
	if message := w.field + ": " + w.text; refused && !strings.HasPrefix(got.Message, message) {
		t.Errorf("the message is\n%s\nwant\n%s", got.Message, message)
	}
	if got.Message == "" {
		t.Error("there is no message")
	}
}

// TestCondition: what the schema takes and this version cannot use is refused, with its field.
func TestCondition(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.NotificationConditionSpec
	overriding := func(email v1alpha1.EmailOverride) []v1alpha1.Action {
		return []v1alpha1.Action{
			{ChannelRef: v1alpha1.ChannelReference{Name: "a"}},
			{ChannelRef: v1alpha1.ChannelReference{Name: "b"}, Email: &email},
		}
	}
	ready, suspended := want{reason: v1alpha1.ReasonReady}, want{reason: v1alpha1.ReasonSuspended}
	invalid := func(field, text string) want { return want{v1alpha1.ReasonInvalid, "`" + field + "`", text} }
	asking := func(expression string) spec {
		return spec{Type: "Custom", Filter: &v1alpha1.EventFilter{Expression: expression}}
	}
	for name, tc := range map[string]struct {
		spec spec
		want want
	}{
		"the least that can be said": {spec{Type: "SingleRiskEvent"}, ready},
		"all that this version can do": {
			spec{
				Type: "ClientSecurityAlert",
				Filter: &v1alpha1.EventFilter{
					Severities: []v1alpha1.Severity{"Critical"}, EventTypes: []v1alpha1.Wildcard{"Traffic*"},
					Domains: []v1alpha1.Wildcard{"CORP"},
					Groups:  []v1alpha1.Wildcard{"*"}, Servers: []v1alpha1.Wildcard{"*"}, Computers: []v1alpha1.Wildcard{"*"},
					Risks: []v1alpha1.Wildcard{"*"}, Applications: []v1alpha1.Wildcard{"*"},
					Activities: []v1alpha1.NetworkActivity{"Packet"},
					Rules:      []v1alpha1.Wildcard{"*"}, EmailAlertRulesOnly: true, Users: []v1alpha1.Wildcard{"*"},
					Expression: `event.severity == "Critical"`,
				},
				Threshold: &v1alpha1.Threshold{Count: pointer[int32](2), Window: "1m", Scope: "SingleComputer"},
				Damper:    &v1alpha1.Damper{Period: "20m", Per: "Computer"},
				Actions: overriding(v1alpha1.EmailOverride{
					Recipients: []v1alpha1.MailAddress{"SOC <soc@example.com>"}, Subject: "%EVENT%", Message: "100%%",
				}),
				NotifyWhenCleared: true,
			}, ready,
		},
		"a risk that is new":  {spec{Type: "NewRiskDetected"}, ready},
		"a threshold by size": {spec{Type: "Custom", Threshold: &v1alpha1.Threshold{Auto: true}}, ready},
		"no damper":           {spec{Type: "Custom", Damper: &v1alpha1.Damper{Period: "None"}}, ready},
		"suspended":           {spec{Type: "Custom", Suspend: true}, suspended},

		"an expression that is none": {
			asking("event."), invalid("spec.filter.expression", ""),
		},
		"an expression that asks for a field which no event has": {
			asking("event.nosuch == 'x'"), invalid("spec.filter.expression", ""),
		},
		"an expression that is neither true nor false": {
			asking("event.title"), invalid("spec.filter.expression", "must be true or false, but gives"),
		},
		"more different computers than the filter names": {
			spec{Type: "RiskOutbreak", Filter: &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"a"}}},
			invalid("spec.threshold.count", "5 different computers can never be reached"),
		},
		"suspended and refused": {
			spec{Type: "Custom", Suspend: true, Threshold: &v1alpha1.Threshold{Window: "soon"}},
			invalid("spec.threshold.window", `time: invalid duration "soon"`),
		},
		"a window that is none": {
			spec{Type: "Custom", Threshold: &v1alpha1.Threshold{Window: "soon"}},
			want{v1alpha1.ReasonInvalid, "`spec.threshold.window`", `time: invalid duration "soon"`},
		},
		"a damper that is none": {
			spec{Type: "Custom", Damper: &v1alpha1.Damper{Period: "Sometimes"}},
			want{v1alpha1.ReasonInvalid, "`spec.damper.period`", `time: invalid duration "Sometimes"`},
		},
		"an address that is none": {
			spec{
				Type:    "Custom",
				Actions: overriding(v1alpha1.EmailOverride{Recipients: []v1alpha1.MailAddress{"a@example.com", "SOC, <b@example.com>"}}),
			},
			want{
				v1alpha1.ReasonInvalid, "`spec.actions[1].email.recipients`",
				`holds "SOC, <b@example.com>", which is no e-mail address (`,
			},
		},
		"a domain that is none": {
			spec{Type: "Custom", Actions: overriding(v1alpha1.EmailOverride{Recipients: []v1alpha1.MailAddress{"a@exa_mple.com"}})},
			want{v1alpha1.ReasonInvalid, "`spec.actions[1].email.recipients`", `holds "a@exa_mple.com", which is no e-mail address (`},
		},
		"a subject with an unknown placeholder": {
			spec{Type: "Custom", Actions: overriding(v1alpha1.EmailOverride{Subject: "%NOSUCH%"})},
			want{v1alpha1.ReasonInvalid, "`spec.actions[1].email.subject`", ""},
		},
		"a message with an unclosed placeholder": {
			spec{Type: "Custom", Actions: overriding(v1alpha1.EmailOverride{Message: "100%"})},
			want{v1alpha1.ReasonInvalid, "`spec.actions[1].email.message`", ""},
		},
		"an address that only a parser refuses": {
			spec{Type: "Custom", Actions: overriding(v1alpha1.EmailOverride{Recipients: []v1alpha1.MailAddress{"a..b@example.com"}})},
			want{v1alpha1.ReasonInvalid, "`spec.actions[1].email.recipients`", `holds "a..b@example.com", which is no e-mail address (`},
		},
		"several: the reason is the first's, all are told": {
			spec{
				Type: "Custom", Damper: &v1alpha1.Damper{Period: "Sometimes"},
				Actions: overriding(v1alpha1.EmailOverride{Subject: "%NOSUCH%", Message: "%NOSUCH%"}),
			},
			invalid("spec.damper.period", "time: invalid duration \"Sometimes\"; `spec.actions[1].email.subject`, "+
				"`spec.actions[1].email.message`: unknown or unclosed placeholder %NOSUCH% at character 1"),
		},
		"suspended and invalid": {
			spec{Type: "Custom", Suspend: true, Actions: overriding(v1alpha1.EmailOverride{Message: "100%"})},
			want{v1alpha1.ReasonInvalid, "`spec.actions[1].email.message`", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.want.check(t, verify.Condition(&v1alpha1.NotificationCondition{Spec: tc.spec}, verify.Surroundings{}))
		})
	}
	for _, p := range preset.All() {
		condition := &v1alpha1.NotificationCondition{Spec: spec{Type: p.Type}}
		if v := verify.Condition(condition, verify.Surroundings{}); !v.Ready {
			t.Errorf("%s: %+v", p.Type, v)
		}
	}
}

// TestNamespaceSelector: who watches other namespaces sees what happens there. Only those who may write in the operator's own
// namespace can do that.
func TestNamespaceSelector(t *testing.T) {
	t.Parallel()
	bad := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tenant", Operator: "Near"}}}
	for name, tc := range map[string]struct {
		namespace, operator string
		selector            *metav1.LabelSelector
		// text is of the refusal; empty if there is none.
		text string
	}{
		"none, anywhere": {"security", "tocsin-system", nil, ""},
		"none, where the operator's own is not known":  {"security", "", nil, ""},
		"all, in the operator's own":                   {"tocsin-system", "tocsin-system", &metav1.LabelSelector{}, ""},
		"some, in the operator's own":                  {"tocsin-system", "tocsin-system", metav1.SetAsLabelSelector(map[string]string{"a": "b"}), ""},
		"all, elsewhere":                               {"security", "tocsin-system", &metav1.LabelSelector{}, "may only be set in the operator's own namespace, tocsin-system; "},
		"all, where the operator's own is not known":   {"security", "", &metav1.LabelSelector{}, "the operator does not know its own namespace"},
		"all, in no namespace, where it is not known":  {"", "", &metav1.LabelSelector{}, "the operator does not know its own namespace"},
		"a selector that is none, in the operator's":   {"tocsin-system", "tocsin-system", bad, `"Near" is not a valid label selector operator`},
		"a name that begins as the operator's is none": {"tocsin-system-2", "tocsin-system", &metav1.LabelSelector{}, "may only be set in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition := &v1alpha1.NotificationCondition{
				Spec: v1alpha1.NotificationConditionSpec{Type: "Custom", NamespaceSelector: tc.selector},
			}
			condition.Namespace = tc.namespace
			expected := want{reason: v1alpha1.ReasonReady}
			if tc.text != "" {
				expected = want{v1alpha1.ReasonInvalid, "`spec.namespaceSelector`", tc.text}
			}
			expected.check(t, verify.Condition(condition, verify.Surroundings{OperatorNamespace: tc.operator}))
		})
	}
}

// TestWindowAndRetention: what a window reaches back to must still be there after a restart.
func TestWindowAndRetention(t *testing.T) {
	t.Parallel()
	kept := map[v1alpha1.Severity]time.Duration{"Info": time.Hour, "Warning": 24 * time.Hour, "Critical": 168 * time.Hour}
	in := verify.Surroundings{Kept: func(severities []v1alpha1.Severity) time.Duration {
		if len(severities) == 0 {
			severities = slices.Collect(maps.Keys(kept))
		}
		least := 1000 * time.Hour
		for _, s := range severities {
			least = min(least, kept[s])
		}
		return least
	}}
	for name, tc := range map[string]struct {
		threshold  *v1alpha1.Threshold
		severities []v1alpha1.Severity
		text       string
	}{
		"the preset's window, as long as all are kept": {nil, nil, ""},
		"just as long as all are kept":                 {&v1alpha1.Threshold{Window: "1h"}, nil, ""},
		"a second longer": {
			&v1alpha1.Threshold{Window: "3601s"}, nil,
			"1h1s is longer than SecurityEvents of all the severities that the filter admits are kept, 1h; shorten the window",
		},
		"longer, but those that count are kept longer": {
			&v1alpha1.Threshold{Window: "24h"}, []v1alpha1.Severity{"Warning", "Critical"}, "",
		},
		"longer than one of them is": {
			&v1alpha1.Threshold{Window: "25h"}, []v1alpha1.Severity{"Critical", "Warning"}, "25h is longer than",
		},
		"a window chosen automatically is short": {&v1alpha1.Threshold{Auto: true}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected := want{reason: v1alpha1.ReasonReady}
			if tc.text != "" {
				expected = want{v1alpha1.ReasonInvalid, "`spec.threshold.window`", tc.text}
			}
			expected.check(t, verify.Condition(&v1alpha1.NotificationCondition{Spec: v1alpha1.NotificationConditionSpec{
				Type: "RiskOutbreak", Threshold: tc.threshold, Filter: &v1alpha1.EventFilter{Severities: tc.severities},
			}}, in))
		})
	}
	t.Run("without a filter", func(t *testing.T) {
		t.Parallel()
		condition := &v1alpha1.NotificationCondition{Spec: v1alpha1.NotificationConditionSpec{
			Type: "RiskOutbreak", Threshold: &v1alpha1.Threshold{Window: "2h"},
		}}
		want{v1alpha1.ReasonInvalid, "`spec.threshold.window`", "2h is longer than"}.check(t, verify.Condition(condition, in))
	})
}

// TestChannel: as TestCondition.
func TestChannel(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.NotificationChannelSpec
	type email = v1alpha1.EmailChannel
	mail := func(change func(*email)) spec {
		e := &email{
			MailTransport: v1alpha1.MailTransport{Servers: []v1alpha1.MailServer{"smtp.example.com"}},
			Recipients:    []v1alpha1.MailAddress{"soc@example.com"}, Sender: "Tocsin <tocsin@example.com>",
		}
		change(e)
		return spec{Type: v1alpha1.ChannelEmail, Email: e}
	}
	with := func(s spec, change func(*spec)) spec {
		change(&s)
		return s
	}
	signed := func(domain string, sender v1alpha1.MailAddress) spec {
		return mail(func(e *email) { e.Sender, e.DKIM = sender, &v1alpha1.DKIMSettings{Domain: domain, Selector: "tocsin"} })
	}
	open := func(mechanism v1alpha1.AuthMechanism, allowed bool) spec {
		return mail(func(e *email) {
			e.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSNone}
			e.Auth = &v1alpha1.MailAuth{Mechanism: mechanism, AllowUnencrypted: allowed}
		})
	}
	plain := mail(func(*email) {})
	ready, suspended := want{reason: v1alpha1.ReasonReady}, want{reason: v1alpha1.ReasonSuspended}
	for name, tc := range map[string]struct {
		spec spec
		want want
	}{
		"the least that can be said": {plain, ready},
		"all that this version can do": {
			with(mail(func(e *email) {
				e.Port, e.Timeout = pointer[int32](2525), "10s"
				e.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSOpportunistic}
				e.Auth = &v1alpha1.MailAuth{
					SecretRef: v1alpha1.SecretReference{Name: "login"}, Mechanism: v1alpha1.AuthAuto, AllowUnencrypted: true,
				}
				e.Recipients = []v1alpha1.MailAddress{"soc@bücher.example", `"SOC, Berlin" <soc@example.com>`}
				e.Subject, e.Message = "%EVENT%", "%DESCR% 100%%"
			}), func(s *spec) { s.Default, s.Retry = true, &v1alpha1.RetryPolicy{For: "1h", Interval: "10s"} }), ready,
		},
		"no encryption": {mail(func(e *email) { e.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSNone} }), ready},
		"any mechanism": {mail(func(e *email) { e.Auth = &v1alpha1.MailAuth{} }), ready},
		"suspended":     {with(plain, func(s *spec) { s.Suspend = true }), suspended},
		"suspended and refused": {
			with(mail(func(e *email) { e.Message = "100%" }), func(s *spec) { s.Suspend = true }),
			want{v1alpha1.ReasonInvalid, "`spec.email.message`", ""},
		},

		"a limit": {
			with(plain, func(s *spec) { s.Limit = &v1alpha1.Limit{Count: 1, Interval: "1m"} }), ready,
		},
		"a fallback": {
			with(plain, func(s *spec) { s.FallbackRef = &v1alpha1.ChannelReference{Name: "b"} }), ready,
		},
		"a lookup of MX": {mail(func(e *email) { e.MXLookup = true }), ready},
		"a lookup of MX that is protected": {
			mail(func(e *email) {
				e.MXLookup, e.DNS = true, &v1alpha1.DNSSettings{Resolvers: []string{"127.0.0.1:53"}, DNSSEC: v1alpha1.DNSSECRequire}
			}), ready,
		},
		"encryption, always, with all there is": {
			mail(func(e *email) {
				e.Port, e.TLS = pointer[int32](465), &v1alpha1.TLSSettings{
					Mode: v1alpha1.TLSRequired, MinVersion: "TLS13", Implicit: pointer(true),
					CARef: &v1alpha1.KeyReference{Name: "ca", Key: "ca.crt"}, ClientCertificateRef: &v1alpha1.SecretReference{Name: "c"},
				}
			}), ready,
		},
		"STARTTLS where TLS is usually implicit": {
			mail(func(e *email) {
				e.Port, e.TLS = pointer[int32](465), &v1alpha1.TLSSettings{Mode: v1alpha1.TLSRequired, Implicit: pointer(false)}
			}), ready,
		},
		"an address where a domain is looked up": {
			mail(func(e *email) { e.MXLookup, e.Servers = true, []v1alpha1.MailServer{"example.com", "192.0.2.25"} }),
			want{v1alpha1.ReasonInvalid, "`spec.email.servers`", `holds "192.0.2.25", which is an address and has no MX records`},
		},
		"an address in brackets where a domain is looked up": {
			mail(func(e *email) { e.MXLookup, e.Servers = true, []v1alpha1.MailServer{"[2001:db8::25]"} }),
			want{v1alpha1.ReasonInvalid, "`spec.email.servers`", `holds "[2001:db8::25]", which is an address`},
		},
		"an address where none is looked up": {
			mail(func(e *email) { e.Servers = []v1alpha1.MailServer{"[2001:db8::25]"} }), ready,
		},
		"DNSSEC of resolvers that nobody chose": {
			mail(func(e *email) { e.MXLookup, e.DNS = true, &v1alpha1.DNSSettings{DNSSEC: v1alpha1.DNSSECRequire} }),
			want{v1alpha1.ReasonInvalid, "`spec.email.dns.dnssec`", "needs `dns.resolvers`: name resolvers that validate"},
		},
		"DNSSEC that is advised": {
			mail(func(e *email) { e.MXLookup, e.DNS = true, &v1alpha1.DNSSettings{DNSSEC: "Advise"} }), ready,
		},
		"a signature by the sender's domain": {signed("example.com", "tocsin@Example.com"), ready},
		"a signature by the domain above":    {signed("Example.com", "Tocsin <tocsin@alerts.example.com>"), ready},
		"a signature for a domain beyond ASCII": {
			signed("xn--kln-sna.example", "tocsin@köln.example"), ready,
		},
		"a signature by somebody else": {
			signed("example.net", "tocsin@example.com"),
			want{v1alpha1.ReasonInvalid, "`spec.email.dkim.domain`", "\"example.net\" is neither the domain of `sender`, \"example.com\", nor one above it"},
		},
		"a signature by the domain below": {
			signed("alerts.example.com", "tocsin@example.com"),
			want{v1alpha1.ReasonInvalid, "`spec.email.dkim.domain`", `"alerts.example.com" is neither`},
		},
		"a signature by a domain that ends alike": {
			signed("ample.com", "tocsin@example.com"), want{v1alpha1.ReasonInvalid, "`spec.email.dkim.domain`", `"ample.com" is neither`},
		},
		"a signature by a top-level domain": {
			signed("com", "tocsin@example.com"),
			want{v1alpha1.ReasonInvalid, "`spec.email.dkim.domain`", `"com" is a top-level domain; right is "example.com"`},
		},
		"a login that shows itself without encryption": {
			open("Plain", false), want{v1alpha1.ReasonInvalid, "`spec.email.auth.mechanism`", "Plain would show the login to whoever listens"},
		},
		"a token that shows itself without encryption": {
			open("XOAUTH2", false), want{v1alpha1.ReasonInvalid, "`spec.email.auth.mechanism`", "XOAUTH2 would show the login"},
		},
		"a login that shows itself by consent":              {open("Login", true), ready},
		"a login that shows nothing without encryption":     {open("SCRAM-SHA-256", false), ready},
		"a login of the server's choice without encryption": {open("Auto", false), ready},
		"a mechanism by name":                               {mail(func(e *email) { e.Auth = &v1alpha1.MailAuth{Mechanism: "Plain"} }), ready},

		"a recipient that is none": {
			mail(func(e *email) { e.Recipients = append(e.Recipients, "SOC. <soc@example.com") }),
			want{v1alpha1.ReasonInvalid, "`spec.email.recipients`", `holds "SOC. <soc@example.com", which is no e-mail address (`},
		},
		"a recipient's domain that is none": {
			mail(func(e *email) { e.Recipients = []v1alpha1.MailAddress{"soc@-example.com"} }),
			want{v1alpha1.ReasonInvalid, "`spec.email.recipients`", `holds "soc@-example.com", which is no e-mail address (`},
		},
		"a sender that is none": {
			mail(func(e *email) { e.Sender = "tocsin" }),
			want{v1alpha1.ReasonInvalid, "`spec.email.sender`", `holds "tocsin", which is no e-mail address (`},
		},
		"a subject with an unknown placeholder": {
			mail(func(e *email) { e.Subject = "%NOSUCH%" }),
			want{v1alpha1.ReasonInvalid, "`spec.email.subject`", "unknown or unclosed placeholder %NOSUCH% at character 1"},
		},
		"a message with an unclosed placeholder": {
			mail(func(e *email) { e.Message = "100%" }), want{v1alpha1.ReasonInvalid, "`spec.email.message`", ""},
		},
		"a name and a domain beyond ASCII": {
			mail(func(e *email) {
				e.Recipients = []v1alpha1.MailAddress{"Bereitschaft Köln <bereitschaft@köln.example>"}
			}), ready,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.want.check(t, verify.Channel(&tc.spec))
		})
	}
}

// TestARefusalSaysWhatWouldBeRight.
func TestARefusalSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	v := verify.Channel(&v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelEmail, Email: &v1alpha1.EmailChannel{Sender: "tocsin"}})
	if right := `right is soc@example.com or "SOC <soc@example.com>"`; !strings.HasSuffix(v.Message, right) {
		t.Errorf("the message is\n%s\nand does not end with\n%s", v.Message, right)
	}
}
