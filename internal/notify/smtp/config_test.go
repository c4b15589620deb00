// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatWeSayHelloAs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		configured, hostname string
		hostnameErr          error
		want                 string
		refused              bool
	}{
		"what is configured":                   {configured: "mail.example.com", hostname: "pod-1", want: "mail.example.com"},
		"an address literal":                   {configured: "[192.0.2.1]", want: "[192.0.2.1]"},
		"an address literal of IPv6":           {configured: "[IPv6:2001:db8::1]", want: "[IPv6:2001:db8::1]"},
		"a literal that is no address":         {configured: "[mail.example.com]", refused: true},
		"a literal that does not end":          {configured: "[192.0.2.1", refused: true},
		"a name with a hole in it":             {configured: "mail..example", refused: true},
		"a name that another command follows":  {configured: "a\r\nMAIL FROM:<b>", refused: true},
		"a name that is too long":              {configured: strings.Repeat("a.", 200) + "a", refused: true},
		"the host's name":                      {hostname: "tocsin-6d4f9", want: "tocsin-6d4f9"},
		"the host's name, made fit":            {hostname: "my_host-.", want: "my-host"},
		"the host's international name":        {hostname: "köln.example", want: "xn--kln-sna.example"},
		"a host's name that cannot be made so": {hostname: "a b", want: "localhost"},
		"a host without a name":                {want: "localhost"},
		"a host that does not tell":            {hostname: "x", hostnameErr: errors.New("not known"), want: "localhost"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := helloName(tc.configured, func() (string, error) { return tc.hostname, tc.hostnameErr })
			if got != tc.want || (err != nil) != tc.refused {
				t.Errorf("got %q, %v, want %q, refused %t", got, err, tc.want, tc.refused)
			}
		})
	}
}
