// SPDX-License-Identifier: Apache-2.0

package main

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var storyTime = span{from: noon, to: noon.Add(time.Minute)}

// arrived are the mails as they arrive when all goes well.
func arrived() []mail {
	named := regexp.MustCompile(`^(?:(.*) <)?([^<>]*)>?$`)
	var mails []mail
	for i, e := range expectedMails() {
		m := mail{
			MessageID: string(rune('a' + i)),
			From:      address{Name: "Tocsin", Address: "tocsin@example.com"},
			Subject:   e.subject,
			Text:      strings.ReplaceAll(strings.ReplaceAll(e.text, anyTime, "2026-11-22T12:00:30Z"), "\n", "\r\n") + "\r\n",
		}
		for _, to := range e.to {
			parts := named.FindStringSubmatch(to)
			m.To = append(m.To, address{Name: parts[1], Address: parts[2]})
		}
		m.HTML = "<h1>" + html.EscapeString(m.Subject) + "</h1><p>" + html.EscapeString(m.Text) + "</p>"
		mails = append(mails, m)
	}
	return mails
}

func TestCheckMails(t *testing.T) {
	t.Parallel()
	const eicar, outbreak = 0, 1
	cases := map[string]struct {
		happens func([]mail) []mail
		want    []string // one for each problem
	}{
		"all as it should be": {
			happens: func(mails []mail) []mail { return mails },
		},
		"in another order": {
			happens: func(mails []mail) []mail { slices.Reverse(mails); return mails },
		},
		"nothing arrived": {
			happens: func([]mail) []mail { return nil },
			want: []string{"0 mails have arrived", "condition single-risk has not arrived", "condition outbreak has not arrived",
				"condition firewall-alerts has not arrived", "the test mail has not arrived"},
		},
		"a mail is missing": {
			happens: func(mails []mail) []mail { return slices.Delete(mails, outbreak, outbreak+1) },
			want:    []string{"3 mails have arrived; it must be 4", "condition outbreak has not arrived"},
		},
		"a mail too many": {
			happens: func(mails []mail) []mail {
				return append(mails, mail{Subject: "W32.Sample again", To: []address{{Address: "ciso@example.com"}}})
			},
			want: []string{"5 mails have arrived; it must be 4", `a mail too many: "W32.Sample again" to ciso@example.com`},
		},
		"a mail twice": {
			happens: func(mails []mail) []mail { return append(mails, mails[outbreak]) },
			want:    []string{"5 mails have arrived; it must be 4", `a mail too many: "OUTBREAK`},
		},
		"one missing and another too many": {
			happens: func(mails []mail) []mail {
				mails[eicar] = mail{Subject: "Hello"}
				return mails
			},
			want: []string{"condition single-risk has not arrived", `a mail too many: "Hello"`},
		},
		"a wrong recipient": {
			happens: func(mails []mail) []mail {
				mails[outbreak].To[0].Address = "soc@example.com"
				return mails
			},
			want: []string{"condition outbreak is wrong: the recipients\n  expected: ciso@example.com\n  there is: soc@example.com"},
		},
		"a recipient is missing": {
			happens: func(mails []mail) []mail {
				mails[eicar].To = mails[eicar].To[:1]
				return mails
			},
			want: []string{"condition single-risk is wrong: the recipients"},
		},
		"a recipient that the head does not name": {
			happens: func(mails []mail) []mail {
				mails[outbreak].Bcc = []address{{Address: "soc@example.com"}}
				return mails
			},
			want: []string{"there is: ciso@example.com, Bcc: soc@example.com"},
		},
		"a wrong sender": {
			happens: func(mails []mail) []mail {
				mails[outbreak].From.Name = ""
				return mails
			},
			want: []string{"condition outbreak is wrong: the sender"},
		},
		"a wrong subject": {
			happens: func(mails []mail) []mail {
				mails[outbreak].Subject = strings.Replace(mails[outbreak].Subject, "5 computers", "4 computers", 1)
				mails[outbreak].HTML = mails[outbreak].Subject + mails[outbreak].Text
				return mails
			},
			want: []string{"condition outbreak is wrong: the subject"},
		},
		"a wrong text": {
			happens: func(mails []mail) []mail {
				mails[outbreak].Text = strings.Replace(mails[outbreak].Text, "6 times", "5 times", 1)
				mails[outbreak].HTML = mails[outbreak].Subject + mails[outbreak].Text
				return mails
			},
			want: []string{"condition outbreak is wrong: the text"},
		},
		"text after the end": {
			happens: func(mails []mail) []mail {
				mails[eicar].Text += "3 further occurrences were held."
				mails[eicar].HTML += "3 further occurrences were held."
				return mails
			},
			want: []string{"condition single-risk is wrong: the text"},
		},
		"a time before the story": {
			happens: func(mails []mail) []mail {
				mails[eicar].Text = strings.Replace(mails[eicar].Text, "12:00:30Z", "11:59:59Z", 1)
				mails[eicar].HTML = mails[eicar].Subject + mails[eicar].Text
				return mails
			},
			want: []string{"condition single-risk is wrong: the text"},
		},
		"an empty page": {
			happens: func(mails []mail) []mail {
				mails[eicar].HTML = ""
				return mails
			},
			want: []string{"condition single-risk is wrong: the HTML page"},
		},
		"the mails of two conditions went to each other's recipients": {
			happens: func(mails []mail) []mail {
				mails[eicar].To, mails[outbreak].To = mails[outbreak].To, mails[eicar].To
				return mails
			},
			want: []string{"condition single-risk is wrong: the recipients", "condition outbreak is wrong: the recipients"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantProblems(t, checkMails(expectedMails(), tc.happens(arrived()), storyTime), tc.want)
		})
	}
}

// entries are the log as it is when all goes well.
func entries() []notification {
	var log []notification
	for _, m := range arrived() {
		n := notification{}
		n.Metadata.Name = "n-" + m.MessageID
		n.Spec.Condition.Name = expectedMails()[len(log)].condition
		n.Status.Conditions = []statusCondition{{Type: "Succeeded", Status: "True", Reason: "Delivered"}}
		n.Status.Deliveries = []delivery{{MessageID: m.MessageID, Attempts: []attempt{{TLS: "TLS 1.3"}}}}
		log = append(log, n)
	}
	return log
}

func TestCheckLog(t *testing.T) {
	t.Parallel()
	const outbreak = 1
	cases := map[string]struct {
		happens func([]notification) []notification
		want    []string
	}{
		"all as it should be": {
			happens: func(log []notification) []notification { return log },
		},
		"an entry is missing": {
			happens: func(log []notification) []notification { return log[1:] },
			want:    []string{"the log holds 3 notifications; it must be 4"},
		},
		"an entry too many": {
			happens: func(log []notification) []notification {
				more := entries()[0]
				more.Spec.Condition.Name = "other"
				return append(log, more)
			},
			want: []string{"the log holds 5", `is of condition "other", which must not fire`},
		},
		"one is still under way": {
			happens: func(log []notification) []notification {
				log[outbreak].Status.Conditions[0] = statusCondition{Type: "Succeeded", Status: "Unknown", Reason: "Retrying"}
				return log
			},
			want: []string{"n-b must be Delivered; it is Retrying"},
		},
		"one has no status": {
			happens: func(log []notification) []notification {
				log[outbreak].Status.Conditions = nil
				return log
			},
			want: []string{"n-b must be Delivered; it is unknown"},
		},
		"it took two attempts": {
			happens: func(log []notification) []notification {
				log[outbreak].Status.Deliveries[0].Attempts = make([]attempt, 2)
				return log
			},
			want: []string{"n-b must have one delivery with one attempt"},
		},
		"it went over an open connection": {
			happens: func(log []notification) []notification {
				log[outbreak].Status.Deliveries[0].Attempts[0].TLS = "none"
				return log
			},
			want: []string{`n-b must have been sent encrypted; it says "none"`},
		},
		"it names another mail": {
			happens: func(log []notification) []notification {
				log[outbreak].Status.Deliveries[0].MessageID = "a"
				return log
			},
			want: []string{"n-b names Message-ID a, which is not that of the mail of condition outbreak"},
		},
		"it names a mail that is not there": {
			happens: func(log []notification) []notification {
				log[outbreak].Status.Deliveries[0].MessageID = "z"
				return log
			},
			want: []string{"n-b names Message-ID z"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantProblems(t, checkLog(expectedMails(), tc.happens(entries()), arrived()), tc.want)
		})
	}
}

func TestCheckHeld(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		dampers []damper
		want    []string
	}{
		"as many as were held": {dampers: []damper{{Held: held}}},
		"fewer":                {dampers: []damper{{Held: held - 1}}, want: []string{"must have one damper that holds 3"}},
		"more":                 {dampers: []damper{{Held: held + 1}}, want: []string{"must have one damper that holds 3"}},
		"none":                 {want: []string{"must have one damper that holds 3"}},
		"another damper":       {dampers: []damper{{Held: held}, {}}, want: []string{"must have one damper that holds 3"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var outbreak condition
			outbreak.Status.Dampers = tc.dampers
			wantProblems(t, checkHeld(outbreak), tc.want)
		})
	}
}

// wantProblems compares by parts of the problems, in order.
func wantProblems(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("problem %d is\n%s\nwant one with\n%s", i, got[i], want[i])
		}
	}
}
