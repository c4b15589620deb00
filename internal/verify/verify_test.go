// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

func TestCondition(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*v1alpha1.NotificationConditionSpec)
		reason string
		wants  []string
	}{
		"a plain one":           {func(*v1alpha1.NotificationConditionSpec) {}, v1alpha1.ReasonReady, nil},
		"a suspended one":       {func(s *v1alpha1.NotificationConditionSpec) { s.Suspend = true }, v1alpha1.ReasonSuspended, []string{"`spec.suspend`"}},
		"new risks":             {func(s *v1alpha1.NotificationConditionSpec) { s.Type = "NewRiskDetected" }, v1alpha1.ReasonNotImplemented, []string{"NewRiskDetected"}},
		"an expression":         {func(s *v1alpha1.NotificationConditionSpec) { s.Filter = &v1alpha1.EventFilter{Expression: "true"} }, v1alpha1.ReasonNotImplemented, []string{"`spec.filter.expression`"}},
		"other namespaces":      {func(s *v1alpha1.NotificationConditionSpec) { s.NamespaceSelector = &metav1.LabelSelector{} }, v1alpha1.ReasonNotImplemented, []string{"`spec.namespaceSelector`"}},
		"a threshold by itself": {func(s *v1alpha1.NotificationConditionSpec) { s.Threshold = &v1alpha1.Threshold{Auto: true} }, v1alpha1.ReasonNotImplemented, []string{"`spec.threshold.auto`"}},
		"a note when cleared":   {func(s *v1alpha1.NotificationConditionSpec) { s.NotifyWhenCleared = true }, v1alpha1.ReasonNotImplemented, []string{"`spec.notifyWhenCleared`"}},
		"all findings are named": {func(s *v1alpha1.NotificationConditionSpec) {
			s.NotifyWhenCleared, s.Threshold, s.Suspend = true, &v1alpha1.Threshold{Auto: true}, true
		}, v1alpha1.ReasonNotImplemented, []string{"`spec.notifyWhenCleared`", "`spec.threshold.auto`"}},
		"a window that is none": {func(s *v1alpha1.NotificationConditionSpec) { s.Threshold = &v1alpha1.Threshold{Window: "soon"} }, v1alpha1.ReasonInvalid, []string{"spec.threshold.window"}},
		"an address of an action": {func(s *v1alpha1.NotificationConditionSpec) {
			s.Actions = []v1alpha1.Action{{Email: &v1alpha1.EmailOverride{Recipients: []v1alpha1.MailAddress{"a..b@example.com"}}}}
		}, v1alpha1.ReasonInvalid, []string{"`spec.actions[0].email.recipients`", "a..b@example.com", "soc@example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &v1alpha1.NotificationCondition{Spec: v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak"}}
			tc.change(&c.Spec)
			got := verify.Condition(c)
			if got.Reason != tc.reason || got.Ready != (tc.reason == v1alpha1.ReasonReady) {
				t.Errorf("verdict is %+v, want %s", got, tc.reason)
			}
			for _, want := range tc.wants {
				if !strings.Contains(got.Message, want) {
					t.Errorf("%q is missing in %q", want, got.Message)
				}
			}
		})
	}
}

func TestChannel(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.NotificationChannelSpec
	for name, tc := range map[string]struct {
		change func(*spec)
		reason string
		want   string
	}{
		"a plain one":          {func(*spec) {}, v1alpha1.ReasonReady, ""},
		"a suspended one":      {func(s *spec) { s.Suspend = true }, v1alpha1.ReasonSuspended, "`spec.suspend`"},
		"a limit":              {func(s *spec) { s.Limit = &v1alpha1.Limit{Count: 1, Interval: "1h"} }, v1alpha1.ReasonNotImplemented, "`spec.limit`"},
		"a fallback":           {func(s *spec) { s.FallbackRef = &v1alpha1.ChannelReference{Name: "sms"} }, v1alpha1.ReasonNotImplemented, "`spec.fallbackRef`"},
		"MX lookup":            {func(s *spec) { s.Email.MXLookup = true }, v1alpha1.ReasonNotImplemented, "`spec.email.mxLookup`"},
		"TLS that is required": {func(s *spec) { s.Email.TLS = &v1alpha1.TLSSettings{Mode: "Required"} }, v1alpha1.ReasonNotImplemented, "`spec.email.tls.mode: Required`"},
		"a version of TLS":     {func(s *spec) { s.Email.TLS = &v1alpha1.TLSSettings{Mode: "Opportunistic", MinVersion: "TLS13"} }, v1alpha1.ReasonNotImplemented, "`spec.email.tls.minVersion`"},
		"a client certificate": {func(s *spec) {
			s.Email.TLS = &v1alpha1.TLSSettings{Mode: "Opportunistic", ClientCertificateRef: &v1alpha1.SecretReference{Name: "c"}}
		}, v1alpha1.ReasonNotImplemented, "`spec.email.tls.clientCertificateRef`"},
		"a login by name":            {func(s *spec) { s.Email.Auth = &v1alpha1.MailAuth{Mechanism: "NTLM"} }, v1alpha1.ReasonNotImplemented, "NTLM"},
		"a login of any kind":        {func(s *spec) { s.Email.Auth = &v1alpha1.MailAuth{Mechanism: v1alpha1.AuthAuto} }, v1alpha1.ReasonReady, ""},
		"SMS":                        {func(s *spec) { s.Type, s.Email, s.SMS = "SMS", nil, &v1alpha1.SMSChannel{} }, v1alpha1.ReasonNotImplemented, "`spec.sms`"},
		"a program":                  {func(s *spec) { s.Type, s.Email, s.Exec = "Exec", nil, &v1alpha1.ExecChannel{} }, v1alpha1.ReasonNotImplemented, "`spec.exec`"},
		"a domain that is none":      {func(s *spec) { s.Email.Sender = "tocsin@-x-.example" }, v1alpha1.ReasonInvalid, "`spec.email.sender`"},
		"a placeholder that is none": {func(s *spec) { s.Email.Message = "%NOBODY%" }, v1alpha1.ReasonInvalid, "%NOBODY% at character 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := spec{Type: "Email", Email: &v1alpha1.EmailChannel{
				Recipients: []v1alpha1.MailAddress{"Bereitschaft Köln <bereitschaft@köln.example>"}, Sender: "tocsin@example.com",
			}}
			tc.change(&s)
			got := verify.Channel(&s)
			if got.Reason != tc.reason || !strings.Contains(got.Message, tc.want) {
				t.Errorf("verdict is %+v, want %s naming %s", got, tc.reason, tc.want)
			}
		})
	}
}
