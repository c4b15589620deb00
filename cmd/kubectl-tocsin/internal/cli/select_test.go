// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// labelled are entries n0 to n8, the newest last. Every third is of team c.
func labelled() []client.Object {
	var objects []client.Object
	for i := range 9 {
		n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: "n" + strconv.Itoa(i), CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(i-20) * time.Minute)),
			Labels: map[string]string{"team": string(rune('a' + i%3))},
		}}
		n.Spec.Type, n.Spec.Severity = "RiskOutbreak", v1alpha1.SeverityInfo
		if i%2 == 0 {
			n.Spec.Severity = v1alpha1.SeverityCritical
			n.Status.Acknowledged = true
		}
		objects = append(objects, n)
	}
	return objects
}

func TestTheArchiveIsSelectedFromAsTheClusterIs(t *testing.T) {
	t.Parallel()
	tried := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
		Namespace: "security", Name: "tried", CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)),
	}}
	tried.Spec.Type, tried.Spec.ChannelRef = v1alpha1.NotificationTypeTest, &v1alpha1.ChannelReference{Name: "soc-mail"}
	for line, want := range map[string]string{
		"-l team=c":                         "n2 n5 n8",
		"-l team=c --tail 2":                "n5 n8",
		"-l team=c --tail 2 --chunk-size 2": "n5 n8",
		"-l team=c --severity Critical":     "n2 n8",
		"-l team!=c --tail 1":               "n7",
		"-l nobody":                         "",
		"--selector team --field-selector metadata.name=n4":                      "n4",
		"--field-selector spec.severity=Info,status.acknowledged!=true --tail 2": "n5 n7",
		"--field-selector spec.type=RiskOutbreak -l team=a":                      "n0 n3 n6",
		"--field-selector metadata.namespace=plant":                              "",
		"--field-selector spec.channelRef.name=soc-mail":                         "tried",
		"--field-selector spec.channelRef.name= -l team=a":                       "n0 n3 n6",
	} {
		x := archiveTerminal(t, newArchive(t, append([]client.Object{tried}, labelled()...)...))
		if code := x.runQuietly(t, "log --archive -o name "+line); code != 0 || x.shown() != want {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", line, code, x.shown(), want, x.err.String())
		}
	}
}

func TestWhatTheClientSelectsIsAskedForInWholePages(t *testing.T) {
	t.Parallel()
	s := newArchive(t, labelled()...)
	x := archiveTerminal(t, s)
	if x.runQuietly(t, "log --archive --tail 2 -l team=a --chunk-size 4 -o name"); x.shown() != "n3 n6" {
		t.Errorf("shown is %q: %s", x.shown(), x.err.String())
	}
	for _, page := range s.pages {
		if page.Get("limit") != "4" {
			t.Errorf("asked for %v", page)
		}
	}
	if len(s.pages) != 2 {
		t.Errorf("asked for %d pages: there was enough after two", len(s.pages))
	}
}

func TestLabelsSelectInTheCluster(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"log -o name -l team=c":                                         "n2 n5 n8",
		"log -o name -l team=c --severity info":                         "n5",
		"log -o name -l team=a --field-selector spec.severity=Critical": "n0 n6",
		"ack -l team=b --comment x --dry-run=client -o name":            "n1 n4 n7",
		"ack -l team=x --comment x":                                     "",
	} {
		x := newTerminal(t, labelled()...)
		if code := x.runQuietly(t, line); code != 0 || x.shown() != want {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", line, code, x.shown(), want, x.err.String())
		}
	}
}

func TestAnOrderIsThatOfKubectl(t *testing.T) {
	t.Parallel()
	var objects []client.Object
	for i, e := range []struct {
		computer, size string
		count          int32
	}{{"ws-10", "1Gi", 2}, {"ws-9", "900Mi", 10}, {"ws-9a", "5", 1}, {"", "2k", 3}} {
		o := &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: "e" + strconv.Itoa(i), CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(i-20) * time.Minute)),
		}}
		o.Spec.Count, o.Spec.Attributes = &e.count, map[string]v1alpha1.AttributeValue{"size": v1alpha1.AttributeValue(e.size)}
		if e.computer != "" {
			o.Spec.Computer = &v1alpha1.Computer{Name: e.computer}
		}
		objects = append(objects, o)
	}
	for line, want := range map[string]string{
		"":                                      "e0 e1 e2 e3",
		"--sort-by .spec.computer.name":         "e3 e1 e2 e0",
		"--sort-by spec.count":                  "e2 e0 e3 e1",
		"--sort-by {.spec.attributes.size}":     "e2 e3 e1 e0",
		"--sort-by .metadata.creationTimestamp": "e0 e1 e2 e3",
		"--sort-by .spec.count --tail 2":        "e2 e3",
		"--sort-by .spec.count --chunk-size 1":  "e2 e0 e3 e1",
	} {
		x := newTerminal(t, objects...)
		for _, format := range []string{"name", "jsonpath={.items[*].metadata.name}", "custom-columns=X:.metadata.name"} {
			code := x.run(t, append(strings.Fields("events --no-headers "+line), "-o", format)...)
			got := strings.Join(strings.Fields(strings.ReplaceAll(x.out.String(), "securityevent.tocsin.dev/", "")), " ")
			if code != 0 || got != want {
				t.Errorf("%s -o %s: exit code %d, got %q, want %q: %s", line, format, code, got, want, x.err.String())
			}
		}
	}
	if code := newTerminal(t).run(t, "log", "--sort-by", ".spec.x"); code != 0 {
		t.Errorf("nothing cannot be put in order: exit code %d", code)
	}
}
