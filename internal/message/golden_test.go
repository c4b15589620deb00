// SPDX-License-Identifier: Apache-2.0

package message

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

var update = flag.Bool("update", false, "write the golden files anew")

// customMessage is the message of the samples' mail channel.
const customMessage = "%EVENT% on %COMPUTER% (%DOMAIN%, %HOST_IP%) at %RISE_TIME%\n%DESCR%\nCPU load was 100%%.\n"

func mustParse(tb testing.TB, text string) placeholder.Template {
	tb.Helper()
	parsed, err := placeholder.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return parsed
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec             *v1alpha1.NotificationSpec
		subject, message string
	}{
		"single":   {spec: singleDetection()},
		"outbreak": {spec: outbreak(), subject: "OUTBREAK of %RISK%: %COMPUTERS% computers in %WINDOW%"},
		"firewall": {spec: firewall()},
		"custom":   {spec: singleDetection(), message: customMessage},
		"test":     {spec: test()},
		"bare":     {spec: bare()},
		"digest":   {spec: limited(), subject: "not for digests", message: "nor this"},
		"hostile":  {spec: hostile()},
		"hostile-custom": {
			spec: hostile(), subject: "%EVENT% %DESCR%", message: "%EVENT%\n%DESCR%\n%COMPUTER% %RISK% %HOST_IP%",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := Values("security", name+"-3f2a9c", tc.spec)
			FillTimes(values, at("12:00:00").In(time.FixedZone("", 3600)))
			subject, text := Render(mustParse(t, tc.subject), mustParse(t, tc.message), values, tc.spec)
			page, err := HTML(Page{Subject: subject, Text: text, Values: values, Spec: tc.spec})
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, name+".txt", subject+"\n\n"+text+"\n")
			checkGolden(t, name+".html", page)
		})
	}
}

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew. Got:\n%s", name, got)
	}
}
