// SPDX-License-Identifier: Apache-2.0

package logfilter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// What the schema of a NotificationFilter allows. A test holds these to the CustomResourceDefinition.
const (
	maxTypes, maxNames           = 64, 128
	maxWildcard, maxAsterisks    = 512, 16
	maxText, maxAge              = 256, 32
	furthestBack                 = 87600 * time.Hour
	earliestYear, firstYearAfter = 1970, 9999
)

var (
	age        = regexp.MustCompile(`^([0-9]{1,6}[hms])+$`)
	asterisks  = regexp.MustCompile(`[*]+`)
	severities = []v1alpha1.Severity{
		v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityFunctionalFailure, v1alpha1.SeverityCritical,
	}
	states = []v1alpha1.LogState{
		v1alpha1.ReasonPending, v1alpha1.ReasonSending, v1alpha1.ReasonRetrying, v1alpha1.ReasonDelivered, v1alpha1.ReasonLogged,
		v1alpha1.ReasonPartlyDelivered, v1alpha1.ReasonFailed, v1alpha1.ReasonSuppressed,
	}
)

// Validate says what the API server would refuse of a filter that has not come through it, save what Compile refuses. The
// error begins with the field, as Compile's does.
func Validate(spec *v1alpha1.NotificationFilterSpec) error {
	checks := []func() error{
		func() error { return moment("since", spec.Since) },
		func() error { return moment("until", spec.Until) },
		func() error { return validAge(spec.Last) },
		func() error { return set("types", spec.Types, maxTypes, validWildcard) },
		func() error { return set("creators", spec.Creators, maxNames, validWildcard) },
		func() error { return set("conditions", spec.Conditions, maxNames, validWildcard) },
		func() error { return set("severities", spec.Severities, len(severities), among(severities)) },
		func() error { return set("computers", spec.Computers, maxNames, validWildcard) },
		func() error { return set("channels", spec.Channels, maxNames, validWildcard) },
		func() error { return set("states", spec.States, len(states), among(states)) },
		func() error {
			if utf8.RuneCountInString(spec.Text) > maxText {
				return fmt.Errorf("spec.text: may be at most %d characters long", maxText)
			}
			return nil
		},
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func moment(field string, t *metav1.Time) error {
	if t != nil && (t.UTC().Year() < earliestYear || t.UTC().Year() >= firstYearAfter) {
		return fmt.Errorf("spec.%s: must be a time of RFC 3339 such as 2026-11-22T08:30:00Z, from %d on", field, earliestYear)
	}
	return nil
}

func validAge(last v1alpha1.Age) error {
	if last == "" {
		return nil
	}
	back, err := time.ParseDuration(string(last))
	if err != nil || len(last) > maxAge || !age.MatchString(string(last)) || back <= 0 || back > furthestBack {
		return errors.New("spec.last: must be a duration above zero and at most 87600h (ten years), such as 24h, 720h or 1h30m")
	}
	return nil
}

// set holds a list to a number of values, each of them once.
func set[S ~string](field string, list []S, most int, valid func(S) error) error {
	if list != nil && (len(list) == 0 || len(list) > most) {
		return fmt.Errorf("spec.%s: must have 1 to %d values", field, most)
	}
	for i, value := range list {
		err := valid(value)
		if err == nil && slices.Contains(list[:i], value) {
			err = errors.New("is there already")
		}
		if err != nil {
			return fmt.Errorf("spec.%s[%d]: %w", field, i, err)
		}
	}
	return nil
}

func validWildcard(pattern v1alpha1.Wildcard) error {
	if n := utf8.RuneCountInString(string(pattern)); n == 0 || n > maxWildcard {
		return fmt.Errorf("must be 1 to %d characters long", maxWildcard)
	}
	if len(asterisks.FindAllStringIndex(string(pattern), -1)) > maxAsterisks {
		return fmt.Errorf("may hold at most %d wildcards *", maxAsterisks)
	}
	return nil
}

func among[S ~string](values []S) func(S) error {
	return func(value S) error {
		if slices.Contains(values, value) {
			return nil
		}
		names := make([]string, len(values))
		for i, v := range values {
			names[i] = string(v)
		}
		return errors.New("must be one of " + strings.Join(names, ", "))
	}
}
