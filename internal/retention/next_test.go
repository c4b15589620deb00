// SPDX-License-Identifier: Apache-2.0

package retention_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// ago is the time so many minutes before noon.
func ago(minutes int) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }

func key(namespace string, severity v1alpha1.Severity) retention.Key {
	return retention.Key{Namespace: namespace, Severity: severity}
}

func unfinished(namespace string, severity v1alpha1.Severity) retention.Key {
	return retention.Key{Stage: retention.Unfinished, Namespace: namespace, Severity: severity}
}

// group is so many objects of 10 bytes, the oldest of which is so many minutes old.
func group(k retention.Key, number, oldest int) retention.Group {
	return retention.Group{Key: k, Number: number, Bytes: int64(10 * number), Oldest: ago(oldest)}
}

func notBefore(g retention.Group, minutesAhead int) retention.Group {
	g.NotBefore = ago(-minutesAhead)
	return g
}

func refused(g retention.Group, minutesAhead int) retention.Group {
	g.RefusedUntil = ago(-minutesAhead)
	return g
}

func heavy(g retention.Group, bytes int64) retention.Group {
	g.Bytes = bytes
	return g
}

func TestNext(t *testing.T) {
	t.Parallel()
	// Info is kept for 60 minutes, Warning 90, FunctionalFailure 120, Critical 240.
	policy := retention.Policy{
		Ages:  retention.Ages{time.Hour, 90 * time.Minute, 2 * time.Hour, 4 * time.Hour},
		Limit: 100, MemoryLimit: 2000, Batch: 5,
	}
	type groups = []retention.Group
	keep := retention.Decision{Verb: retention.Keep}
	expire := func(k retention.Key, minutesAhead int) retention.Decision {
		return retention.Decision{Verb: retention.Expire, Reason: retention.Age, Key: k, Number: 1, At: ago(-minutesAhead)}
	}
	trim := func(k retention.Key, why retention.Reason) retention.Decision {
		return retention.Decision{Verb: retention.Trim, Reason: why, Key: k, Number: 1, At: noon}
	}
	shed := func(k retention.Key, why retention.Reason, n int) retention.Decision {
		return retention.Decision{Verb: retention.Shed, Reason: why, Key: k, Number: n, At: noon}
	}
	at := func(d retention.Decision, minutesAhead int) retention.Decision {
		d.At = ago(-minutesAhead)
		return d
	}
	for name, tc := range map[string]struct {
		groups groups
		before retention.Verb
		want   retention.Decision
	}{
		"nothing is kept":                                           {nil, "", keep},
		"what is young is kept until it is old":                     {groups{group(key("a", info), 5, 20)}, "", expire(key("a", info), 40)},
		"what has reached its age goes":                             {groups{group(key("a", info), 5, 60)}, "", expire(key("a", info), 0)},
		"a higher severity has a higher age":                        {groups{group(key("a", warning), 5, 60)}, "", expire(key("a", warning), 30)},
		"what reaches its age first goes first":                     {groups{group(key("a", info), 5, 50), group(key("b", critical), 5, 235)}, "", expire(key("b", critical), 5)},
		"age counts although the limit is not reached":              {groups{group(key("a", critical), 1, 300)}, "", expire(key("a", critical), -60)},
		"what has reached its age goes before what is one too many": {groups{group(key("a", info), 100, 10), group(key("a", critical), 1, 240)}, "", expire(key("a", critical), 0)},

		"at the limit nothing goes":                                {groups{group(key("a", info), 100, 10)}, "", expire(key("a", info), 50)},
		"one too many":                                             {groups{group(key("a", info), 101, 10)}, "", trim(key("a", info), retention.Number)},
		"the lowest severity goes first":                           {groups{group(key("a", critical), 99, 10), group(key("a", warning), 1, 5), group(key("a", failure), 1, 30)}, "", trim(key("a", warning), retention.Number)},
		"Critical goes when there is nothing else":                 {groups{group(key("a", critical), 101, 10)}, "", trim(key("a", critical), retention.Number)},
		"of the namespace that holds most of the severity":         {groups{group(key("quiet", info), 30, 50), group(key("storm", info), 31, 1), group(key("quiet", critical), 40, 1)}, "", trim(key("storm", info), retention.Number)},
		"of two that hold as much, the one with the oldest":        {groups{group(key("a", info), 51, 10), group(key("b", info), 51, 20)}, "", trim(key("b", info), retention.Number)},
		"and of those, the first by name":                          {groups{group(key("b", info), 51, 10), group(key("a", info), 51, 10)}, "", trim(key("a", info), retention.Number)},
		"ten percent too many is no hurry":                         {groups{group(key("a", info), 110, 10)}, "", trim(key("a", info), retention.Number)},
		"more than that goes in batches":                           {groups{group(key("a", info), 111, 10)}, "", shed(key("a", info), retention.Number, 5)},
		"no larger than what there is of the severity":             {groups{group(key("a", critical), 108, 10), group(key("a", info), 3, 10)}, "", shed(key("a", info), retention.Number, 3)},
		"what was begun goes on":                                   {groups{group(key("a", info), 106, 10)}, retention.Shed, shed(key("a", info), retention.Number, 5)},
		"to the last whole batch":                                  {groups{group(key("a", info), 105, 10)}, retention.Shed, shed(key("a", info), retention.Number, 5)},
		"what is left is no hurry":                                 {groups{group(key("a", info), 104, 10)}, retention.Shed, trim(key("a", info), retention.Number)},
		"at the limit it has ended":                                {groups{group(key("a", info), 100, 10)}, retention.Shed, expire(key("a", info), 50)},
		"far too many go before what has reached its age":          {groups{group(key("a", info), 150, 10), group(key("a", critical), 1, 240)}, "", shed(key("a", info), retention.Number, 5)},
		"memory counts as well":                                    {groups{heavy(group(key("a", info), 10, 10), 2100)}, "", trim(key("a", info), retention.Memory)},
		"much too much memory goes in batches":                     {groups{heavy(group(key("a", info), 30, 10), 3000)}, "", shed(key("a", info), retention.Memory, 5)},
		"in which the average counts":                              {groups{heavy(group(key("a", info), 5, 10), 3000)}, "", shed(key("a", info), retention.Memory, 1)},
		"an event that is larger than the whole limit goes":        {groups{heavy(group(key("a", info), 1, 10), 9000)}, "", shed(key("a", info), retention.Memory, 1)},
		"where memory is short, the heaviest namespace pays":       {groups{heavy(group(key("few", info), 2, 10), 1500), heavy(group(key("many", info), 20, 10), 600)}, "", trim(key("few", info), retention.Memory)},
		"where both are exceeded, the limit by number comes first": {groups{heavy(group(key("a", info), 103, 10), 9000)}, "", shed(key("a", info), retention.Number, 3)},
		"the limit by number is the reason where both hold":        {groups{heavy(group(key("a", info), 101, 10), 2001)}, "", trim(key("a", info), retention.Number)},
		"what is not finished does not go by age":                  {groups{group(unfinished("a", info), 5, 600)}, "", keep},
		"what is more severe does not go in its stead":             {groups{group(unfinished("a", info), 90, 10), group(key("a", critical), 15, 10)}, "", expire(key("a", critical), 230)},
		"nor what another namespace holds of the same severity":    {groups{group(unfinished("storm", info), 150, 10), group(key("b", info), 9, 10)}, "", shed(unfinished("storm", info), retention.Number, 1)},
		"what is finished goes before it in its namespace":         {groups{group(unfinished("a", info), 90, 10), group(key("a", info), 15, 10)}, "", trim(key("a", info), retention.Number)},
		"where deletions are refused, others go":                   {groups{refused(group(key("storm", info), 150, 10), 3), group(key("b", info), 9, 10)}, "", shed(key("b", info), retention.Number, 5)},
		"a few too many that are not finished are kept":            {groups{group(unfinished("a", info), 110, 10)}, "", keep},
		"also when shedding had begun":                             {groups{group(unfinished("a", info), 110, 10)}, retention.Shed, keep},
		"of far too many that are not finished, one goes":          {groups{group(unfinished("a", warning), 60, 10), group(unfinished("b", info), 51, 10)}, "", shed(unfinished("b", info), retention.Number, 1)},
		"what may not be deleted yet is waited for":                {groups{notBefore(group(key("a", info), 1, 90), 3)}, "", expire(key("a", info), 3)},
		"and others expire meanwhile":                              {groups{notBefore(group(key("a", info), 1, 90), 3), group(key("b", info), 1, 61)}, "", expire(key("b", info), -1)},
		"but nothing is shed in its stead":                         {groups{notBefore(group(key("storm", info), 99, 10), 3), group(key("quiet", info), 9, 10)}, "", at(trim(key("storm", info), retention.Number), 3)},
		"nor far too many":                                         {groups{notBefore(group(key("storm", info), 199, 10), 3), group(key("quiet", info), 9, 10)}, "", at(shed(key("storm", info), retention.Number, 5), 3)},
		"what expires first is not kept waiting by it":             {groups{notBefore(group(key("storm", info), 199, 10), 3), group(key("quiet", info), 9, 58)}, "", expire(key("quiet", info), 2)},
		"a severity that is unknown counts as Info":                {groups{group(key("a", retention.As("Unheard")), 5, 60)}, "", expire(key("a", info), 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, policy.Next(tc.groups, tc.before, noon)); diff != "" {
				t.Errorf("decision differs (-want +got):\n%s", diff)
			}
		})
	}
}
