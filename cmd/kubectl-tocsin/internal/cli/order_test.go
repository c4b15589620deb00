// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// TestWithinASecondEventsStandInTheOrderOfTheirCreation: times are told in whole seconds, and names are made by chance.
func TestWithinASecondEventsStandInTheOrderOfTheirCreation(t *testing.T) {
	t.Parallel()
	var objects []client.Object
	for name, version := range map[string]string{"c": "98", "a": "99", "d": "100", "b": "1000"} {
		objects = append(objects, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: name, ResourceVersion: version, CreationTimestamp: metav1.NewTime(noon),
		}})
	}
	x := newTerminal(t, objects...)
	for line, want := range map[string]string{"events": "c a d b", "events --tail 1": "b", "events --tail 2 --chunk-size 1": "d b"} {
		x.run(t, append(strings.Fields(line), "-o", "name")...)
		got := strings.Join(strings.Fields(strings.ReplaceAll(x.out.String(), "securityevent.tocsin.dev/", "")), " ")
		if got != want {
			t.Errorf("%s: got %q, want %q: %s", line, got, want, x.err.String())
		}
	}
}

func TestWithinASecondNotificationsStandInTheOrderOfTheDecisions(t *testing.T) {
	t.Parallel()
	decision := func(name, upTo string, sequence int64, created time.Duration) client.Object {
		n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: name, CreationTimestamp: metav1.NewTime(noon.Add(created)),
		}}
		n.Spec.Trigger = &v1alpha1.Trigger{Time: metav1.NewTime(noon), UpTo: upTo, Sequence: sequence}
		return n
	}
	for name, tc := range map[string]struct {
		log  []client.Object
		want string
	}{
		"by the event that was the latest": {[]client.Object{decision("a", "100", 1, 0), decision("b", "99", 2, 0)}, "b a"},
		"of the same event, by the number": {[]client.Object{decision("a", "99", 10, 0), decision("b", "99", 9, 0)}, "b a"},
		"else by when they were created":   {[]client.Object{decision("a", "99", 1, time.Second), decision("b", "99", 1, 0)}, "b a"},
		"else by name":                     {[]client.Object{decision("b", "99", 1, 0), decision("a", "99", 1, 0)}, "a b"},
	} {
		x := newTerminal(t, tc.log...)
		if x.runQuietly(t, "log -o name"); x.shown() != tc.want {
			t.Errorf("%s: got %q, want %q", name, x.shown(), tc.want)
		}
	}
}
