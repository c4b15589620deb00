// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// words are what random texts are made of: few, so that filters match, and those that databases and Go may see differently.
var words = []string{"", "ws", "WS", "Ws-1", "ws-%", "ws_1", `a\b`, "é", "É", "ß", "İ", "i", "ſ", "s", "K", "k", "日本", "a\x00", "'", "\n", "$1"}

func text(r *rand.Rand) string { return words[r.IntN(len(words))] + words[r.IntN(len(words))] }

// fill sets all fields of a value at random, also those that the kinds may get one day. A field that the filter looks into
// and the archive does not would show here.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text(r))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(r.Int64N(100))
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Slice:
		for range r.IntN(3) {
			one := reflect.New(v.Type().Elem()).Elem()
			fill(r, one)
			v.Set(reflect.Append(v, one))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[metav1.Time]() {
			v.Set(reflect.ValueOf(moment(r)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i))
			}
		}
	}
}

// moment is one of few whole seconds.
func moment(r *rand.Rand) metav1.Time {
	return metav1.NewTime(noon.Add(time.Duration(r.IntN(20)-10) * time.Second))
}

// some returns a few of a list, often none.
func some[S any](r *rand.Rand, one func() S) []S {
	var list []S
	for range max(0, r.IntN(6)-3) {
		list = append(list, one())
	}
	return list
}

func wildcard(r *rand.Rand) v1alpha1.Wildcard {
	w := text(r)
	for range r.IntN(3) {
		at := r.IntN(len(w) + 1)
		for at > 0 && at < len(w) && w[at]&0xC0 == 0x80 { // within a character
			at--
		}
		w = w[:at] + "*" + w[at:]
	}
	return v1alpha1.Wildcard(w)
}

var states = []v1alpha1.LogState{v1alpha1.ReasonPending, v1alpha1.ReasonDelivered, v1alpha1.ReasonFailed}

var severities = []v1alpha1.Severity{v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityCritical}

func randomEntry(t *testing.T, r *rand.Rand, number int) v1alpha1.Notification {
	var n v1alpha1.Notification
	fill(r, reflect.ValueOf(&n.Spec).Elem())
	n.Spec.Severity = severities[r.IntN(len(severities))]
	if r.IntN(2) == 0 {
		n.Spec.Acknowledgement = nil
	}
	n.Namespace, n.Name = []string{"security", "finance"}[r.IntN(2)], fmt.Sprintf("n-%03d", number)
	n.UID, n.ResourceVersion, n.CreationTimestamp = types.UID(fmt.Sprintf("u-%03d", number)), "1", moment(r)
	if r.IntN(4) > 0 {
		n.Status.Conditions = []metav1.Condition{{Type: v1alpha1.SucceededCondition, Reason: string(states[r.IntN(len(states))])}}
	}
	written, err := json.Marshal(n) // as it would come from the API server
	if err != nil {
		t.Fatal(err)
	}
	var read v1alpha1.Notification
	if err := json.Unmarshal(written, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func randomFilter(r *rand.Rand) v1alpha1.NotificationFilterSpec {
	wild := func() v1alpha1.Wildcard { return wildcard(r) }
	f := v1alpha1.NotificationFilterSpec{
		Types: some(r, wild), Creators: some(r, wild), Conditions: some(r, wild), Computers: some(r, wild), Channels: some(r, wild),
		Severities: some(r, func() v1alpha1.Severity { return severities[r.IntN(len(severities))] }),
		States:     some(r, func() v1alpha1.LogState { return states[r.IntN(len(states))] }),
	}
	switch r.IntN(4) {
	case 0:
		f.Text = text(r)
	case 1:
		yes := r.IntN(2) == 0
		f.Acknowledged = &yes
	}
	switch r.IntN(6) {
	case 0:
		f.Last = v1alpha1.Age(fmt.Sprintf("%ds", 1+r.IntN(10)))
	case 1:
		at := moment(r)
		f.Since = &at
	case 2:
		at := moment(r)
		f.Until = &at
	}
	return f
}

// testAgreement asks random questions about random entries: the store's answer is the filter's.
func testAgreement(t *testing.T, s archive.Store) {
	r := shuffled(6)
	all := make([]v1alpha1.Notification, 0, 300)
	for i := range cap(all) {
		all = append(all, randomEntry(t, r, i))
	}
	stored(t, s, all...)
	matches := 0
	for range 1500 {
		q := archive.Query{Filter: randomFilter(r), Now: noon.Add(time.Duration(r.IntN(4)) * 500 * time.Millisecond), Limit: 1 + r.IntN(40)}
		if r.IntN(3) == 0 {
			q.Namespace = "security"
		}
		filter, err := logfilter.Compile(&q.Filter, q.Now)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range all {
			if (q.Namespace == "" || q.Namespace == all[i].Namespace) && filter.Match(&all[i]) {
				want = append(want, all[i].Name)
			}
		}
		matches += len(want)
		got := found(t, s, q)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			asked, _ := json.Marshal(q)
			t.Fatalf("%s: the filter's and the store's answer: %s", asked, diff)
		}
	}
	if matches < 1000 {
		t.Errorf("the filters matched %d times in all, which proves little", matches)
	}
}
