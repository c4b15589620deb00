// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// filterFlags are the fields of a NotificationFilter as flags. A flag replaces the field of a saved filter.
type filterFlags struct {
	name, since, until, text               string
	types, severities, computers           []string
	creators, conditions, channels, states []string
	acknowledged                           bool
}

// addShared adds those flags that make sense for events, too.
func (f *filterFlags) addShared(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.name, "filter", "", "Name of a NotificationFilter to begin with; flags replace its fields")
	flags.StringVar(&f.since, "since", "", "How far back (24h, 7d) or since when: a time (2026-11-22T08:30:00Z, or "+
		"2026-11-22T08:30 in your zone) or a day (2026-11-22), from its beginning on")
	flags.StringVar(&f.until, "until", "", "Up to how long ago (1h), or before what time or day, as for --since: "+
		"what is of the day itself does not count")
	flags.StringSliceVar(&f.types, "type", nil, "Types; * stands for any characters, as in all lists of names")
	flags.StringSliceVar(&f.severities, "severity", nil, "Severities: "+strings.Join(severities, ", "))
	flags.StringSliceVar(&f.computers, "computer", nil, "Names of computers")
	flags.StringVar(&f.text, "text", "", "Text to look for, whatever its case")
	criteria(flags, "filter", "since", "until", "type", "severity", "computer", "text")
}

// addLog adds those for the log alone.
func (f *filterFlags) addLog(c *cobra.Command) {
	f.addShared(c)
	flags := c.Flags()
	flags.StringSliceVar(&f.creators, "creator", nil, "Users who made the condition")
	flags.StringSliceVar(&f.conditions, "condition", nil, "Names of conditions")
	flags.StringSliceVar(&f.channels, "channel", nil, "Names of channels")
	flags.StringSliceVar(&f.states, "state", nil, "States: "+strings.Join(states, ", "))
	flags.BoolVar(&f.acknowledged, "acknowledged", false, "Those that are acknowledged; =false for those that are not")
	criteria(flags, "creator", "condition", "channel", "state")
}

var (
	severities = []string{"Info", "Warning", "FunctionalFailure", "Critical"}
	states     = []string{"Pending", "Sending", "Retrying", "Delivered", "Logged", "PartlyDelivered", "Failed", "Suppressed"}
)

// spec is the filter that the flags ask for; the saved filter is one of the namespace.
func (f *filterFlags) spec(ctx context.Context, a *App, c client.Reader, flags *pflag.FlagSet) (*v1alpha1.NotificationFilterSpec, error) {
	var saved v1alpha1.NotificationFilter
	if f.name != "" {
		namespace, _, err := a.Namespace()
		if err != nil {
			return nil, err
		}
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: f.name}, &saved); err != nil {
			return nil, err
		}
	}
	spec := &saved.Spec
	if err := f.times(spec, a.Now()); err != nil {
		return nil, err
	}
	if err := f.names(spec); err != nil {
		return nil, err
	}
	if err := oneOf("severity", f.severities, severities, &spec.Severities); err != nil {
		return nil, err
	}
	if err := oneOf("state", f.states, states, &spec.States); err != nil {
		return nil, err
	}
	if f.text != "" {
		spec.Text = f.text
	}
	if flags.Changed("acknowledged") {
		spec.Acknowledged = &f.acknowledged
	}
	return spec, nil
}

// names sets the lists of names.
func (f *filterFlags) names(spec *v1alpha1.NotificationFilterSpec) error {
	for _, field := range []struct {
		flag   string
		values []string
		to     *[]v1alpha1.Wildcard
	}{
		{"type", f.types, &spec.Types}, {"creator", f.creators, &spec.Creators}, {"condition", f.conditions, &spec.Conditions},
		{"computer", f.computers, &spec.Computers}, {"channel", f.channels, &spec.Channels},
	} {
		if len(field.values) == 0 {
			continue
		}
		*field.to = nil
		for _, value := range field.values {
			if strings.TrimSpace(value) == "" {
				return fmt.Errorf("--%s: a name may not be empty", field.flag)
			}
			*field.to = append(*field.to, v1alpha1.Wildcard(value))
		}
	}
	return nil
}

// times sets the time range.
func (f *filterFlags) times(spec *v1alpha1.NotificationFilterSpec, now time.Time) error {
	if f.since == "" && f.until == "" {
		return nil
	}
	if spec.Last != "" { // the flags replace the saved range, or cut it
		back, err := time.ParseDuration(string(spec.Last))
		if err != nil {
			return fmt.Errorf("filter %s: spec.last: %w", f.name, err)
		}
		since := metav1.NewTime(now.Add(-back))
		spec.Since, spec.Last = &since, ""
	}
	for _, limit := range []struct {
		flag, value string
		to          **metav1.Time
	}{{"since", f.since, &spec.Since}, {"until", f.until, &spec.Until}} {
		if limit.value == "" {
			continue
		}
		at, err := moment(limit.value, now)
		if err != nil {
			return fmt.Errorf("--%s: %w", limit.flag, err)
		}
		*limit.to = &metav1.Time{Time: at}
	}
	if spec.Since != nil && spec.Until != nil && !spec.Since.Before(spec.Until) {
		return fmt.Errorf("the time range ends at %s, before it begins at %s", utc(spec.Until.Time), utc(spec.Since.Time))
	}
	return nil
}

// compiled is the filter, ready to be asked.
func (f *filterFlags) compiled(ctx context.Context, a *App, c client.Reader, flags *pflag.FlagSet) (*logfilter.Filter, error) {
	spec, err := f.spec(ctx, a, c, flags)
	if err != nil {
		return nil, err
	}
	return logfilter.Compile(spec, a.Now())
}

// oneOf takes words of a list, in whatever case, as the API spells them.
func oneOf[S ~string](flag string, given, known []string, to *[]S) error {
	if len(given) == 0 {
		return nil
	}
	*to = nil
next:
	for _, word := range given {
		for _, k := range known {
			if strings.EqualFold(word, k) {
				*to = append(*to, S(k))
				continue next
			}
		}
		return fmt.Errorf("--%s: %q is none of %s", flag, word, strings.Join(known, ", "))
	}
	return nil
}
