// SPDX-License-Identifier: Apache-2.0

// Package retention decides what of SecurityEvents and Notifications is deleted, when, and why.
package retention

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// MinimumLimit is the least that a limit by number may be: the tenth of it that may be kept beyond the limit is what one
// request sheds, and smaller ones would be as many requests as there are objects.
const MinimumLimit = 1000

// MinimumMemory is the least that a limit by memory may be: some thousand objects.
const MinimumMemory = "16Mi"

var severities = [...]v1alpha1.Severity{
	v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityFunctionalFailure, v1alpha1.SeverityCritical,
}

// Severities lists the severities, the lowest first.
func Severities() []v1alpha1.Severity { return slices.Clone(severities[:]) }

// As is the severity that an object is kept as: Info where it has none, as notifications of type Test, or an unknown one.
func As(s v1alpha1.Severity) v1alpha1.Severity {
	if s.Number() == 0 {
		return v1alpha1.SeverityInfo
	}
	return s
}

// Policy says how long and how many objects of one kind are kept in the cluster.
type Policy struct {
	Ages Ages
	// Limit is how many are kept.
	Limit int
	// MemoryLimit is how many bytes of the manager's memory they may take. 0: that is not looked at.
	MemoryLimit int64
	// Batch is how many are shed at once when there are far too many. 0: one after the other.
	Batch int
}

// DefaultEvents is the policy for SecurityEvents.
func DefaultEvents() Policy {
	return Policy{
		Ages:  Ages{24 * time.Hour, 72 * time.Hour, 168 * time.Hour, 168 * time.Hour},
		Limit: 50_000, MemoryLimit: 128 << 20, Batch: 500,
	}
}

// DefaultNotifications is the policy for Notifications: 30, 90, 90 and 180 days.
func DefaultNotifications() Policy {
	return Policy{
		Ages:  Ages{720 * time.Hour, 2160 * time.Hour, 2160 * time.Hour, 4320 * time.Hour},
		Limit: 10_000, MemoryLimit: 128 << 20,
	}
}

// Expired says whether an item has been kept as long as its severity is to be kept.
func (p Policy) Expired(i Item, now time.Time) bool {
	return !i.Created.Add(p.Ages.Of(i.Severity)).After(now)
}

// Shortest is how long objects of the given severities, or of all where none are given, are kept at least. A window that is
// longer would miss some of them.
func (p Policy) Shortest(of []v1alpha1.Severity) time.Duration {
	if len(of) == 0 {
		of = severities[:]
	}
	shortest := p.Ages.Of(of[0])
	for _, s := range of[1:] {
		shortest = min(shortest, p.Ages.Of(s))
	}
	return shortest
}

// Ages is how long objects are kept, by severity, the lowest first. It is a flag.Value.
type Ages [len(severities)]time.Duration

// Of is how long objects of a severity are kept.
func (a *Ages) Of(s v1alpha1.Severity) time.Duration { return a[As(s).Number()-1] }

// Set reads a list such as Info=24h,Critical=168h. Severities that it does not name stay as they are.
func (a *Ages) Set(text string) error {
	ages := *a
	for entry := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(entry), "=")
		number := v1alpha1.Severity(name).Number()
		switch {
		case !found:
			return fmt.Errorf("%q is not of the form Info=24h", entry)
		case number == 0:
			return fmt.Errorf("%q is not a severity; those are Info, Warning, FunctionalFailure and Critical", name)
		}
		age, err := time.ParseDuration(value)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %q is not a duration such as 24h or 90m; there is no unit for days", name, value)
		case age <= 0:
			return fmt.Errorf("%s: %q must be above zero", name, value)
		}
		ages[number-1] = age
	}
	*a = ages
	return nil
}

// String writes the list that Set reads.
func (a *Ages) String() string {
	entries := make([]string, 0, len(a))
	for i, age := range a {
		entries = append(entries, fmt.Sprintf("%s=%s", severities[i], v1alpha1.FormatDuration(age)))
	}
	return strings.Join(entries, ",")
}
