// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/mx"
)

// What was found out holds for some minutes, and where nobody knows any more, for longer.
func TestDomainsAreLookedUpEveryFewMinutes(t *testing.T) {
	t.Parallel()
	var answers []error
	asked := 0
	ask := func() []error {
		asked++
		return answers
	}
	gone, silent := &mx.Error{Reason: mx.NotFound, Domain: "a.example"}, &mx.Error{Reason: mx.Failed, Domain: "a.example"}
	channel := &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Name: "mail", UID: "1", Generation: 1}}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var d domains
	for _, tc := range []struct {
		name   string
		after  time.Duration
		answer error
		change func()
		asked  bool
		want   *mx.Error
	}{
		{"at first", 0, gone, nil, true, gone},
		{"a little later", domainPoll - 1, nil, nil, false, gone},
		{"minutes later", 1, nil, nil, true, nil},
		{"it is gone again", domainPoll, gone, nil, true, gone},
		{"nobody knows", domainPoll, silent, nil, true, gone},
		{"still nobody knows", domainPoll, silent, nil, true, gone},
		{"the channel has changed, and nobody knows", 0, silent, func() { channel.Generation = 2 }, true, nil},
		{"it is gone", domainPoll, gone, nil, true, gone},
		{"it is another channel of that name", 0, nil, func() { channel.UID = "2" }, true, nil},
	} {
		now = now.Add(tc.after)
		if tc.change != nil {
			tc.change()
		}
		answers = []error{tc.answer}
		before := asked
		got := d.look(channel, now, ask)
		if (asked > before) != tc.asked || len(got) != 1 || got[0] != tc.want {
			t.Errorf("%s: asked %t, found %v, want %v", tc.name, asked > before, got, tc.want)
		}
	}
}
