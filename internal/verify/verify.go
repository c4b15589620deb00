// SPDX-License-Identifier: Apache-2.0

// Package verify looks for what the schema of a channel or a condition cannot refuse: values that cannot be used. Nothing that
// is accepted is ignored.
package verify

import (
	"cmp"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"golang.org/x/net/idna"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// finding is a field and what is wrong with it; the zero finding is none.
type finding struct{ reason, field, text string }

func invalid(field string, err error) finding {
	if err == nil {
		return finding{}
	}
	return finding{v1alpha1.ReasonInvalid, field, err.Error()}
}

// verdict names all findings, with the reason of the first; without one, ready.
func verdict(findings []finding, ready string) status.Verdict {
	var reason string
	var texts []string
	fields := map[string][]string{}
	for _, f := range findings {
		if f == (finding{}) {
			continue
		}
		reason = cmp.Or(reason, f.reason)
		if fields[f.text] == nil {
			texts = append(texts, f.text)
		}
		fields[f.text] = append(fields[f.text], "`"+f.field+"`")
	}
	if reason == "" {
		return status.Verdict{Ready: true, Reason: v1alpha1.ReasonReady, Message: ready}
	}
	for i, text := range texts {
		texts[i] = strings.Join(fields[text], ", ") + ": " + text
	}
	return status.Verdict{Stalled: true, Reason: reason, Message: strings.Join(texts, "; ")}
}

// Surroundings are what a condition is checked against, besides itself.
type Surroundings struct {
	// OperatorNamespace is the namespace that Tocsin runs in; empty when it is not known.
	OperatorNamespace string
	// Kept is how long SecurityEvents of these severities (none: any) are kept at least.
	Kept func(severities []v1alpha1.Severity) time.Duration
}

// Condition says whether a condition can be evaluated.
func Condition(condition *v1alpha1.NotificationCondition, in Surroundings) status.Verdict {
	spec := &condition.Spec
	findings := []finding{
		invalid("spec.namespaceSelector", selectable(condition, in.OperatorNamespace)),
	}
	if rule, err := plan.Compile(condition, 0); err != nil {
		field, text, _ := strings.Cut(err.Error(), ": ")
		findings = append(findings, invalid(field, errors.New(text)))
	} else {
		findings = append(findings, invalid("spec.threshold.window", remembered(spec, rule.Window(), in)))
	}
	for i, action := range spec.Actions {
		if action.Email == nil {
			continue
		}
		field := fmt.Sprintf("spec.actions[%d].email", i)
		findings = append(findings,
			addresses(field+".recipients", action.Email.Recipients),
			template(field+".subject", action.Email.Subject),
			template(field+".message", action.Email.Message))
	}
	if spec.Suspend {
		if v := verdict(findings, ""); !v.Ready {
			return v
		}
		return status.Verdict{Reason: v1alpha1.ReasonSuspended, Message: "`spec.suspend` is true: events are not evaluated"}
	}
	return verdict(findings, "events are being evaluated")
}

// selectable refuses a namespace selector that would reach beyond what its author may see.
func selectable(condition *v1alpha1.NotificationCondition, operator string) error {
	selector := condition.Spec.NamespaceSelector
	switch {
	case selector == nil:
		return nil
	case operator == "":
		return errors.New("the operator does not know its own namespace, the only one in which this may be set; " +
			"start the manager with --namespace")
	case condition.Namespace != operator:
		return fmt.Errorf("may only be set in the operator's own namespace, %s; elsewhere a condition watches the events of its "+
			"own namespace", operator)
	}
	_, err := metav1.LabelSelectorAsSelector(selector)
	return err
}

// remembered refuses a window that reaches back beyond the events that are kept: a restart would forget them.
func remembered(spec *v1alpha1.NotificationConditionSpec, window time.Duration, in Surroundings) error {
	if in.Kept == nil {
		return nil
	}
	var severities []v1alpha1.Severity
	if spec.Filter != nil {
		severities = spec.Filter.Severities
	}
	kept := in.Kept(severities)
	if window <= kept {
		return nil
	}
	return fmt.Errorf("%s is longer than SecurityEvents of all the severities that the filter admits are kept, %s; shorten the "+
		"window, narrow `spec.filter.severities`, or have the manager keep them longer (--event-retention)",
		v1alpha1.FormatDuration(window), v1alpha1.FormatDuration(kept))
}

// Channel says whether a channel can be used, as far as its spec alone tells.
func Channel(spec *v1alpha1.NotificationChannelSpec) status.Verdict {
	findings := []finding{exec(spec.Exec)}
	if spec.Email != nil {
		findings = append(findings, email(spec.Email)...)
	}
	if spec.SMS != nil {
		findings = append(findings, shortMessages(spec.SMS)...)
	}
	v := verdict(findings, "the channel can be used")
	if v.Ready && spec.Suspend {
		return status.Verdict{Reason: v1alpha1.ReasonSuspended, Message: "`spec.suspend` is true: deliveries are held back"}
	}
	return v
}

// addresses checks what a pattern cannot: quoting in display names (RFC 5322) and the domain (RFC 5890).
func addresses(field string, list []v1alpha1.MailAddress) finding {
	for _, a := range list {
		parsed, err := mail.ParseAddress(string(a))
		if err == nil {
			_, err = idna.Lookup.ToASCII(domain(parsed.Address))
		}
		if err != nil {
			return invalid(field, fmt.Errorf("holds %q, which is no e-mail address (%w); right is soc@example.com or "+
				"\"SOC <soc@example.com>\"", a, err))
		}
	}
	return finding{}
}

func domain(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return address
}

func template[T v1alpha1.Subject | v1alpha1.Text](field string, t T) finding {
	_, err := placeholder.Parse(string(t))
	return invalid(field, err)
}
