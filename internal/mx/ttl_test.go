// SPDX-License-Identifier: Apache-2.0

package mx_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tocsin-dev/tocsin/internal/mx"
)

func TestAnswersLast(t *testing.T) {
	t.Parallel()
	soa := func(line string) []string { return []string{"example.com. " + line} }
	for name, tc := range map[string]struct {
		answer reply
		// lasts is how long; 0: not at all.
		lasts time.Duration
	}{
		"as long as the record says":         {records("example.com. 300 MX 10 mx.example.com."), 300 * time.Second},
		"as long as the shortest says":       {records("example.com. 300 MX 10 mx.example.com.", "example.com. 60 MX 20 mx.example.com."), time.Minute},
		"as long as the alias says":          {records("example.com. 30 CNAME a.example.", "a.example. 300 MX 10 mx.example.com."), 30 * time.Second},
		"no shorter than 5 s":                {records("example.com. 0 MX 10 mx.example.com."), 5 * time.Second},
		"no longer than an hour":             {records("example.com. 604800 MX 10 mx.example.com."), time.Hour},
		"there is none: the SOA's minimum":   {reply{authority: soa("900 SOA ns. root. 1 2 3 4 120")}, 2 * time.Minute},
		"there is none: the SOA's TTL":       {reply{authority: soa("90 SOA ns. root. 1 2 3 4 120")}, 90 * time.Second},
		"there is none: no longer than that": {reply{authority: soa("90000 SOA ns. root. 1 2 3 4 90000")}, time.Hour},
		"there is none, and no SOA":          {reply{}, 0},
		"no such domain: the SOA's minimum":  {reply{rcode: dns.RcodeNameError, authority: soa("900 SOA ns. root. 1 2 3 4 120")}, 2 * time.Minute},
		"null MX":                            {records("example.com. 300 MX 0 ."), 300 * time.Second},
		"a failure":                          {reply{rcode: dns.RcodeRefused, authority: soa("900 SOA ns. root. 1 2 3 4 120")}, 0},
		"bogus":                              {servfail(dns.ExtendedErrorCodeDNSBogus), 0},
		"not authenticated":                  {unsigned("example.com. 300 MX 10 mx.example.com."), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startResolver(t, true, signed(zone{"example.com MX": tc.answer}))
			var passed atomic.Int64
			r := newResolver(t, func(o *mx.Options) {
				o.RequireDNSSEC = true
				o.Now = func() time.Time {
					return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Add(time.Duration(passed.Load()))
				}
			}, server)
			asked := func(after time.Duration) int {
				passed.Store(int64(after))
				_, _ = r.Lookup(t.Context(), "example.com", 25)
				return server.count("example.com MX")
			}
			if got := asked(0); got != 1 {
				t.Fatalf("asked %d times, want once", got)
			}
			if tc.lasts == 0 {
				if got := asked(0); got != 2 {
					t.Errorf("asked %d times in all, want again at once", got)
				}
				return
			}
			if got := asked(tc.lasts - time.Nanosecond); got != 1 {
				t.Errorf("asked %d times until shortly before %s, want once", got, tc.lasts)
			}
			if got := asked(tc.lasts); got != 2 {
				t.Errorf("asked %d times until %s, want again", got, tc.lasts)
			}
		})
	}
}
