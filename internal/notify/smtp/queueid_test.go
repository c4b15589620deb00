// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func TestTheQueueIDIsFoundInWhatServersSay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ reply, want string }{
		"Postfix":                   {"250 2.0.0 Ok: queued as 4XyZk91Q2bz1Abc", "4XyZk91Q2bz1Abc"},
		"Postfix for a milter":      {"250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 9F1D220B6E", "9F1D220B6E"},
		"Exim":                      {"250 OK id=1rAbCd-0007xY-2Z", "1rAbCd-0007xY-2Z"},
		"Sendmail":                  {"250 2.0.0 3AL8Zxyz012345 Message accepted for delivery", "3AL8Zxyz012345"},
		"OpenSMTPD":                 {"250 2.0.0 8b6cf4d4 Message accepted for delivery", "8b6cf4d4"},
		"Exchange":                  {"250 2.6.0 <6d1f.77@example.com> [InternalId=4213423, Hostname=EX1.corp.example] 2234 bytes in 0.1, 18 KB/sec Queued mail for delivery", "4213423"},
		"qmail":                     {"250 ok 1700000000 qp 4711", "qp 4711"},
		"Gmail":                     {"250 2.0.0 OK  1700000000 5b1f17b1804b1-4323d3a - gsmtp", "5b1f17b1804b1-4323d3a"},
		"Amazon":                    {"250 Ok 0102018c-4a5b-000000", "0102018c-4a5b-000000"},
		"Mailpit":                   {"250 2.0.0 Ok: queued as hpMCsZYCQaQpUnmQ8Nyp3c", "hpMCsZYCQaQpUnmQ8Nyp3c"},
		"in angle brackets":         {"250 2.0.0 Ok: queued as <abc@relay>", "abc@relay"},
		"none":                      {"250 2.0.0 Ok", ""},
		"none, in words":            {"250 2.0.0 Message accepted, thank you", ""},
		"one that is too long":      {"250 2.0.0 Ok: queued as " + strings.Repeat("x", 400), strings.Repeat("x", 125) + "…"},
		"one that is not printable": {"250 2.0.0 Ok: queued as \x1b[2J\x00", ""},
		"one in many lines":         {"250-2.0.0 thank you\r\n250 2.0.0 Ok: queued as ABC", "ABC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Reply(tc.reply)})
				result := send(t, scripted(t, server), alert())
				checkReason(t, result, notify.ReasonAccepted)
				if result.QueueID != tc.want || len(result.QueueID) > notify.MaxQueueID {
					t.Errorf("queue id is %q, want %q", result.QueueID, tc.want)
				}
			})
		})
	}
}

func TestWhatIsNotTakenHasNoQueueID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Reply("550 5.7.1 rejected, id=1rAbCd-0007xY-2Z")})
		if result := send(t, scripted(t, server), alert()); result.QueueID != "" {
			t.Errorf("queue id is %q", result.QueueID)
		}
	})
}
