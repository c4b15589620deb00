// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	testcluster "github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// TestBenchPrintsItsTables: all of it works, with a real API server and the manager as a process. What the numbers are is
// nothing for a test.
func TestBenchPrintsItsTables(t *testing.T) {
	private, err := testcluster.StartBare()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := private.Stop(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	manager, kubeconfig := filepath.Join(dir, "manager"), filepath.Join(dir, "kubeconfig")
	t.Chdir(testcluster.Root())
	if out, err := exec.Command("go", "build", "-o", manager, "./cmd/manager").CombinedOutput(); err != nil {
		t.Fatalf("building the manager: %v\n%s", err, out)
	}
	if err := os.WriteFile(kubeconfig, private.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	t.Setenv("PATH", os.Getenv("KUBEBUILDER_ASSETS")+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out, progress bytes.Buffer
	if code := run(t.Context(), []string{"--quick", "--manager", manager}, &out, &progress); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, progress.String(), out.String())
	}
	t.Log(out.String())
	want := []string{"The engine alone", "Memory of a window", "What the API server takes", "From event to mail, at 20 events a second",
		"Events that are kept"}
	var titles []string
	for _, found := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(out.String(), -1) {
		titles = append(titles, found[1])
	}
	if diff := cmp.Diff(want, titles); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	if nonsense := regexp.MustCompile(`NaN|Inf`).FindString(out.String()); nonsense != "" {
		t.Errorf("%q is no number", nonsense)
	}
}

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"help":          {[]string{"--help"}, 0, "The tables are engine, windows, creates, latency and kept"},
		"unknown flag":  {[]string{"--slow"}, exitMisused, "not defined"},
		"unknown table": {[]string{"engines"}, exitMisused, `there is no table "engines"; there are engine, windows, creates`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, complaints bytes.Buffer
			if code := run(t.Context(), tc.args, &out, &complaints); code != tc.code {
				t.Errorf("exit code is %d, want %d", code, tc.code)
			}
			if !strings.Contains(complaints.String(), tc.want) {
				t.Errorf("%q is missing in:\n%s", tc.want, complaints.String())
			}
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	measured := table{title: "Title", about: strings.Repeat("word ", 30), head: []string{"what", "aim"}}
	measured.add("a", "–")
	measured.add("long one", sample{3, 1, 2, 4}.text(twoDigits))
	want := "### Title\n\n" + strings.TrimSpace(strings.Repeat("word ", 25)) + "\nword word word word word\n\n" +
		"| what     | aim                 |\n" +
		"| -------- | ------------------- |\n" +
		"| a        | –                   |\n" +
		"| long one | 2.50 (1.00 to 4.00) |\n"
	if diff := cmp.Diff(want, measured.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	var hundred sample
	for i := range 100 {
		hundred = append(hundred, float64(100-i))
	}
	for name, tc := range map[string]struct{ got, want float64 }{
		"median of one":               {sample{7}.median(), 7},
		"median of an odd number":     {sample{9, 1, 2}.median(), 2},
		"median of an even number":    {sample{9, 1, 2, 4}.median(), 3},
		"half":                        {hundred.quantile(0.5), 50},
		"all but one of a hundred":    {hundred.quantile(0.99), 99},
		"of few, nearly all are all":  {sample{1, 2, 3}.quantile(0.99), 3},
		"of one, any share is itself": {sample{5}.quantile(0.01), 5},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		whole(0): "0", whole(999.6): "1,000", whole(1234567): "1,234,567", whole(-1234): "-1,234",
		milliseconds(0.0042): "4.2 ms", milliseconds(1.5): "1,500 ms", seconds(1.234): "1.23 s", mebibytes(3 << 20): "3 MiB",
		sample{2, 2}.text(whole): "2",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWritesAreTheManagersAlone(t *testing.T) {
	t.Parallel()
	read := func(text string) writes {
		parsed, err := parse(strings.NewReader("# TYPE apiserver_request_total counter\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return parsed.writes()
	}
	before := read(`apiserver_request_total{group="tocsin.dev",resource="notifications",verb="POST",code="201"} 1
`)
	after := read(`apiserver_request_total{group="tocsin.dev",resource="securityevents",verb="POST",code="201"} 1000
apiserver_request_total{group="tocsin.dev",resource="securityevents",verb="LIST",code="200"} 1000
apiserver_request_total{group="tocsin.dev",resource="securityevents",verb="DELETE",code="200"} 2
apiserver_request_total{group="tocsin.dev",resource="notifications",verb="POST",code="201"} 4
apiserver_request_total{group="tocsin.dev",resource="notifications",subresource="status",verb="PUT",code="200"} 6
apiserver_request_total{group="tocsin.dev",resource="notifications",subresource="status",verb="PUT",code="409"} 1
apiserver_request_total{group="coordination.k8s.io",resource="leases",verb="PUT",code="200"} 50
apiserver_request_total{group="",resource="configmaps",verb="PUT",code="200"} 50
`).since(before)
	want := writes{"DELETE securityevents": 2, "POST notifications": 3, "PUT notifications/status": 7, lease: 50}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := after.total(); got != 12 {
		t.Errorf("the total is %v, want 12", got)
	}
	if got, want := after.per(3), "0.67 DELETE securityevents, 1 POST notifications, 2.33 PUT notifications/status"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
