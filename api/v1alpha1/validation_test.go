// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

var k8s *cluster.Cluster

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, func(c *cluster.Cluster) (func(), error) {
		k8s = c
		return func() {}, nil
	}))
}

const (
	email = `
kind: NotificationChannel
spec:
  type: Email
  email:
    recipients: [soc@example.com]
    sender: tocsin@example.com
    servers: [smtp.example.com]
`
	condition = `
kind: NotificationCondition
spec:
  type: RiskOutbreak
`
	event = `
kind: SecurityEvent
spec:
  type: RiskDetected
  severity: Critical
  title: Malicious object detected
`
	sms = `
kind: NotificationChannel
spec:
  type: SMS
  sms:
    recipients: ["+4915112345678"]
    gatewayDomain: sms.example.com
    sender: tocsin@example.com
    servers: [smtp.example.com]
`
	test = `
kind: Notification
spec:
  type: Test
  channelRef: {name: mail}
`
)

// parse makes an object of YAML and changes fields: "spec.email.port" and so on; nil removes one.
func parse(t *testing.T, manifest string, changes map[string]any) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatalf("parsing: %v\n%s", err, manifest)
	}
	for path, value := range changes {
		fields := strings.Split(path, ".")
		if value == nil {
			unstructured.RemoveNestedField(u.Object, fields...)
		} else if err := unstructured.SetNestedField(u.Object, value, fields...); err != nil {
			t.Fatalf("setting %s: %v", path, err)
		}
	}
	u.SetAPIVersion(v1alpha1.GroupVersion.String())
	u.SetNamespace("default")
	u.SetName("try")
	return u
}

func TestBadInputIsRefusedWithTheFieldAndWhatIsRight(t *testing.T) {
	recipients := make([]any, 10000)
	for i := range recipients {
		recipients[i] = "soc@example.com"
	}
	for name, tc := range map[string]struct {
		manifest string
		changes  map[string]any
		wants    []string
	}{
		"wrong enum": {event, map[string]any{"spec.severity": "Fatal"},
			[]string{`spec.severity: Unsupported value: "Fatal"`, `"Info", "Warning", "FunctionalFailure", "Critical"`}},
		"wrong condition type": {condition, map[string]any{"spec.type": "Outbreak"},
			[]string{"spec.type: Unsupported value", "RiskOutbreak"}},
		"missing member": {email, map[string]any{"spec.email": nil},
			[]string{"`email` must be set when `type` is Email, and only then"}},
		"two members": {email, map[string]any{"spec.exec": map[string]any{"template": map[string]any{}}},
			[]string{"`exec` must be set when `type` is Exec, and only then"}},
		"duration in words": {condition, map[string]any{"spec.threshold": map[string]any{"window": "5 minutes"}},
			[]string{"spec.threshold.window: Invalid value", "must be a duration above zero", "90s, 60m, 1h"}},
		"no duration at all": {email, map[string]any{"spec.email.timeout": "0s"},
			[]string{"spec.email.timeout", "must be a duration above zero"}},
		"damper in words": {condition, map[string]any{"spec.damper": map[string]any{"period": "hourly"}},
			[]string{"spec.damper.period", "must be Auto, None or a duration"}},
		"unknown placeholder": {email, map[string]any{"spec.email.message": "Größe %COMPUTER%: %FOO%"},
			[]string{"spec.email.message", "unknown or unclosed placeholder %FOO% at character 19", "a percent sign is written %%"}},
		"lone percent sign": {email, map[string]any{"spec.email.subject": "load is 100%"},
			[]string{"spec.email.subject", "placeholder % at character 12", "a percent sign is written %%"}},
		"unclosed placeholder": {email, map[string]any{"spec.email.subject": "%EVENT on %COMPUTER%"},
			[]string{"spec.email.subject", "placeholder %EVENT at character 1"}},
		"bad placeholder of an action": {condition, map[string]any{"spec.actions": []any{map[string]any{
			"channelRef": map[string]any{"name": "mail"}, "email": map[string]any{"subject": "%RISC%"}}}},
			[]string{"spec.actions[0].email.subject", "%RISC%"}},
		"subject of two lines": {email, map[string]any{"spec.email.subject": "a\nBcc: b@example.com"},
			[]string{"spec.email.subject"}},
		"address that is none": {email, map[string]any{"spec.email.recipients": []any{"soc"}},
			[]string{"spec.email.recipients[0]: Invalid value", "must be one e-mail address, such as soc@example.com"}},
		"two addresses in one": {email, map[string]any{"spec.email.recipients": []any{"a@example.com;b@example.com"}},
			[]string{"spec.email.recipients[0]", "must be one e-mail address"}},
		"address with a header in it": {email, map[string]any{"spec.email.sender": "a@example.com\r\nBcc: b@example.com"},
			[]string{"spec.email.sender", "must be one e-mail address"}},
		"10,000 recipients": {email, map[string]any{"spec.email.recipients": recipients},
			[]string{"spec.email.recipients: Too many: 10000: must have at most 100 items"}},
		"the same recipient twice": {email, map[string]any{"spec.email.recipients": []any{"a@example.com", "a@example.com"}},
			[]string{"spec.email.recipients[1]: Duplicate value"}},
		"no recipients": {email, map[string]any{"spec.email.recipients": []any{}},
			[]string{"spec.email.recipients", "at least 1 items"}},
		"title of 1 MB": {event, map[string]any{"spec.title": strings.Repeat("x", 1<<20)},
			[]string{"spec.title: Too long: may not be more than 256"}},
		"server with a port": {email, map[string]any{"spec.email.servers": []any{"smtp.example.com:25"}},
			[]string{"spec.email.servers[0]", "must be one DNS name or IP address", "the port has a field of its own"}},
		"port that is none": {email, map[string]any{"spec.email.port": int64(70000)},
			[]string{"spec.email.port", "less than or equal to 65535"}},
		"phone number that is none": {sms, map[string]any{"spec.sms.recipients": []any{"0151/12345"}},
			[]string{"spec.sms.recipients[0]", "must be a phone number such as +4915112345678"}},
		"phone number without a gateway": {sms, map[string]any{"spec.sms.gatewayDomain": nil},
			[]string{"`gatewayDomain` or `gatewayAddress` must be set when `recipients` holds a phone number"}},
		"two gateways": {sms, map[string]any{"spec.sms.gatewayAddress": "%NUMBER%@gw.example.com"},
			[]string{"`gatewayDomain` and `gatewayAddress` both say what becomes of a phone number"}},
		"gateway with a control character": {sms, map[string]any{"spec.sms.gatewayDomain": "sms\x01.example.com"},
			[]string{"spec.sms.gatewayDomain: Invalid value"}},
		"gateway without the number": {sms, map[string]any{"spec.sms.gatewayDomain": nil, "spec.sms.gatewayAddress": "sms@gw.example.com"},
			[]string{"spec.sms.gatewayAddress", "must hold %NUMBER% once"}},
		"gateway with the number twice": {sms, map[string]any{
			"spec.sms.gatewayDomain": nil, "spec.sms.gatewayAddress": "%NUMBER%@%NUMBER%.example.com"},
			[]string{"spec.sms.gatewayAddress", "must hold %NUMBER% once"}},
		"gateway with another placeholder": {sms, map[string]any{
			"spec.sms.gatewayDomain": nil, "spec.sms.gatewayAddress": "%NUMBER%-%EVENT%@gw.example.com"},
			[]string{"spec.sms.gatewayAddress", "a percent sign is written %%"}},
		"gateway that is no address": {sms, map[string]any{"spec.sms.gatewayDomain": nil, "spec.sms.gatewayAddress": "%NUMBER% <x>"},
			[]string{"spec.sms.gatewayAddress", "must be one e-mail address when %NUMBER% is filled in"}},
		"CA without checking": {email, map[string]any{"spec.email.tls": map[string]any{
			"mode": "Opportunistic", "caRef": map[string]any{"name": "ca", "key": "ca.crt"}}},
			[]string{"`caRef` needs `mode: Required`"}},
		"DNS settings without MX lookup": {email, map[string]any{"spec.email.dns": map[string]any{"dnssec": "Require"}},
			[]string{"`dns` needs `mxLookup: true`"}},
		"auto and count": {condition, map[string]any{"spec.threshold": map[string]any{"auto": true, "count": int64(3)}},
			[]string{"give either `auto: true` or those two"}},
		"nothing to clear": {condition, map[string]any{"spec.type": "NewRiskDetected", "spec.notifyWhenCleared": true},
			[]string{"spec.notifyWhenCleared", "may not be set with type NewRiskDetected", "there is nothing to clear"}},
		"17 wildcards": {condition, map[string]any{"spec.filter": map[string]any{"computers": []any{"ws", strings.Repeat("*a", 17)}}},
			[]string{"spec.filter.computers[1]", "may hold at most 16 wildcards *"}},
		"17 wildcards in an event type": {condition, map[string]any{
			"spec.filter": map[string]any{"eventTypes": []any{strings.Repeat("a*", 17)}}},
			[]string{"spec.filter.eventTypes[0]", "may hold at most 16 wildcards *"}},
		"the same channel twice": {condition, map[string]any{"spec.actions": []any{
			map[string]any{"channelRef": map[string]any{"name": "mail"}}, map[string]any{"channelRef": map[string]any{"name": "mail"}}}},
			[]string{"spec.actions", "may name each channel once"}},
		"last before first": {event, map[string]any{"spec.time": "2026-11-22T08:30:00Z", "spec.lastTime": "2026-11-22T08:29:00Z"},
			[]string{"spec.lastTime", "`lastTime` needs `time` and may not lie before it"}},
		"time in lower case": {event, map[string]any{"spec.time": "2026-11-22t08:30:00z"}, []string{"spec.time"}},
		"time of no zone":    {event, map[string]any{"spec.time": "2026-11-22T08:30:00+99:99"}, []string{"spec.time"}},
		"time before time": {event, map[string]any{"spec.time": "0001-01-01T00:00:00Z"},
			[]string{"spec.time", "must be a time of RFC 3339 such as 2026-11-22T08:30:00Z"}},
		"last time after time": {event, map[string]any{
			"spec.time": "2026-11-22T08:30:00Z", "spec.lastTime": "9999-12-31T23:59:59-12:00"}, []string{"spec.lastTime"}},
		"channel that no object can be": {condition, map[string]any{"spec.actions": []any{
			map[string]any{"channelRef": map[string]any{"name": "UPPER case/!"}}}}, []string{"spec.actions[0].channelRef.name"}},
		"unknown field": {event, map[string]any{"spec.colour": "red"}, []string{`unknown field "spec.colour"`}},
		"test without a channel": {test, map[string]any{"spec.channelRef": nil},
			[]string{"`channelRef` must be set when `type` is Test"}},
		"forged entry": {test, map[string]any{"spec.type": "RiskOutbreak", "spec.channelRef": nil},
			[]string{"Tocsin writes those; users create type Test"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := parse(t, tc.manifest, tc.changes)
			err := k8s.Client.Create(t.Context(), u, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
			if err == nil {
				t.Fatal("was accepted")
			}
			for _, want := range tc.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the refusal lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestWhatIsJustWithinTheBoundsIsAccepted(t *testing.T) {
	for name, tc := range map[string]struct {
		manifest string
		changes  map[string]any
	}{
		"16 wildcards": {condition, map[string]any{"spec.filter": map[string]any{"computers": []any{strings.Repeat("*a", 16)}}}},
		"a gateway with addresses of its own": {sms, map[string]any{
			"spec.sms.gatewayDomain": nil, "spec.sms.gatewayAddress": "+%NUMBER%/TYPE=SMS%%@fax.example.com"}},
		"short messages to addresses alone": {sms, map[string]any{
			"spec.sms.gatewayDomain": nil, "spec.sms.recipients": []any{"+night@sms.example.com"}}},
		"a new risk without clearing": {condition, map[string]any{
			"spec.type": "NewRiskDetected", "spec.notifyWhenCleared": false}},
	} {
		t.Run(name, func(t *testing.T) {
			u := parse(t, tc.manifest, tc.changes)
			if err := k8s.Client.Create(t.Context(), u, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict)); err != nil {
				t.Errorf("was refused: %v", err)
			}
		})
	}
}

func TestWhatIsOnceWrittenStays(t *testing.T) {
	for name, tc := range map[string]struct {
		manifest string
		field    string
		value    any
		want     string
	}{
		"event":           {event, "spec.title", "other", "an event is a fact"},
		"notification":    {test, "spec.channelRef.name", "other", "the log tells what was"},
		"channel":         {email, "spec.type", "SMS", "may not be changed: create another channel"},
		"acknowledgement": {test, "spec.acknowledgement", map[string]any{"comment": "other"}, "may be set once"},
	} {
		t.Run(name, func(t *testing.T) {
			u := parse(t, tc.manifest, nil)
			u.SetNamespace(k8s.Namespace(t))
			if name == "acknowledgement" {
				u = parse(t, tc.manifest, map[string]any{"spec.acknowledgement": map[string]any{"comment": "seen"}})
				u.SetNamespace(k8s.Namespace(t))
			}
			k8s.Create(t, u)
			if err := unstructured.SetNestedField(u.Object, tc.value, strings.Split(tc.field, ".")...); err != nil {
				t.Fatal(err)
			}
			if err := k8s.Client.Update(t.Context(), u); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the update ended with %v, want %q", err, tc.want)
			}
		})
	}
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// Every manifest that is shown or shipped is accepted as it stands.
func TestEveryManifestIsAccepted(t *testing.T) {
	for _, namespace := range []string{"security", "tocsin-system"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		if err := client.IgnoreAlreadyExists(k8s.Client.Create(t.Context(), ns)); err != nil { // with -count, it is there
			t.Fatal(err)
		}
	}
	for name, source := range manifests(t) {
		t.Run(name, func(t *testing.T) {
			for _, document := range cluster.Manifests(source) {
				accepted(t, document)
			}
		})
	}
}

// manifests returns the YAML of samples, the demo and the documentation, by file.
func manifests(t *testing.T) map[string]string {
	t.Helper()
	sources := map[string]string{}
	for _, file := range files(t, "config/samples/*.yaml", "hack/demo/story/*.yaml") {
		sources[filepath.Base(file)] = read(t, file)
	}
	for _, page := range files(t, "docs/*.md", "README.md") {
		for _, block := range yamlBlock.FindAllStringSubmatch(read(t, page), -1) {
			sources[filepath.Base(page)] += "\n---\n" + block[1]
		}
	}
	return sources
}

func accepted(t *testing.T, document string) {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	if u.GetKind() == "Namespace" {
		return
	}
	if u.GetNamespace() == "" && !strings.HasPrefix(u.GetAPIVersion(), "rbac.") {
		u.SetNamespace("security")
	}
	err := k8s.Client.Create(t.Context(), u, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
	if err != nil {
		t.Errorf("%v in\n%s", err, document)
	}
}

func files(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(cluster.Root(), pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no file matches %s (%v)", pattern, err)
		}
		all = append(all, found...)
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
