// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// doorPath is what the API server's proxy takes from the paths of requests to the archive.
const doorPath = "/api/v1/namespaces/tocsin-system/services/https:tocsin-archive:8443/proxy"

// BenchmarkArchiveInSQLite has the plugin, as a process, read what a manager, as a process, serves from an archive of a year.
// TOCSIN_BENCH_ENTRIES is how many entries there are.
func BenchmarkArchiveInSQLite(b *testing.B) {
	benchmarkArchive(b, "sqlite://"+filepath.Join(b.TempDir(), "log.db"))
}

func benchmarkArchive(b *testing.B, location string) {
	entries := 100_000
	if text := os.Getenv("TOCSIN_BENCH_ENTRIES"); text != "" {
		var err error
		if entries, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	fillArchive(b, location, entries)
	manager, config := serveArchive(b, location)
	for _, question := range []struct{ name, line string }{
		{"five criteria", "--since 4380h --severity Critical --type RiskOutbreak --condition condition-7 --acknowledged=false"},
		{"seven criteria", "--since 4380h --severity Critical --type RiskOutbreak --condition condition-7 --acknowledged=false " +
			"--computer WS-1* --text trojan"},
		{"a computer and a text", "--since 4380h --severity Critical --type RiskOutbreak --computer WS-1123 --text trojan"},
		{"the latest hundred", "--tail 100"},
		{"everything", ""},
	} {
		b.Run(question.name, func(b *testing.B) {
			var first, most float64
			rows := 0
			for b.Loop() {
				r := readArchive(b, config, strings.Fields("log --archive -A --no-headers "+question.line))
				first, most, rows = first+r.first.Seconds(), max(most, r.memory), r.rows
			}
			b.ReportMetric(first/float64(b.N), "s-to-first-row")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s-in-all")
			b.ReportMetric(float64(rows), "rows")
			b.ReportMetric(most, "MiB-plugin")
			b.ReportMetric(peak(manager), "MiB-manager")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fillArchive writes entries as long as usual ones, spread over a year.
func fillArchive(b *testing.B, location string, number int) {
	b.Helper()
	store, err := archive.New(location)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	began := time.Now()
	step := 365 * 24 * time.Hour / time.Duration(number)
	var batch []archive.Entry
	for i := range number {
		at := metav1.NewTime(began.Add(-time.Duration(i) * step))
		computer := fmt.Sprintf("ws-%04d", i*7919%5000)
		n := entry(fmt.Sprint("team-", i%20), fmt.Sprintf("outbreak-%07d", i), fmt.Sprint("condition-", i%40),
			[]v1alpha1.Severity{"Info", "Warning", "Critical"}[i/40%3], 0)
		n.UID, n.ResourceVersion, n.CreationTimestamp = types.UID(fmt.Sprintf("6f1c2a0e-0000-4000-8000-%012d", i*7919%number)), "1", at
		n.Spec.Trigger.Time, n.Spec.Trigger.ComputerNames = at, []string{computer}
		n.Spec.Deliveries = []v1alpha1.Delivery{{Channel: "soc-mail", Subject: "Outbreak: 5 computers within an hour",
			Message: fmt.Sprintf("Trojan number %d was found on %s.\n%s", i, computer, strings.Repeat("Look into it, and say so. ", 20))}}
		if i/120%2 == 0 {
			n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "looked into", By: "bob"}
		}
		n.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.SucceededCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDelivered, LastTransitionTime: at,
		}}
		e, err := archive.NewEntry(n)
		if err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, e); len(batch) == 500 || i == number-1 {
			if err := store.Put(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	b.Logf("%d entries were written in %s", number, time.Since(began).Round(time.Millisecond))
}

// serveArchive starts a manager that serves the archive, and returns its process and a kubeconfig. The API server's proxy,
// which does not go to this machine itself, is played.
func serveArchive(b *testing.B, location string) (manager int, config string) {
	b.Helper()
	dir := b.TempDir()
	binary, admin := filepath.Join(dir, "manager"), filepath.Join(dir, "admin")
	build := exec.Command("go", "build", "-o", binary, "./cmd/manager")
	build.Dir = cluster.Root()
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building the manager: %v\n%s", err, out)
	}
	if err := os.WriteFile(admin, k8s.Kubeconfig, 0o600); err != nil {
		b.Fatal(err)
	}
	operator := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tocsin-system"}}
	if err := k8s.Client.Create(b.Context(), operator); err != nil && !apierrors.IsAlreadyExists(err) {
		b.Fatal(err)
	}
	apply := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "apply", "--kubeconfig", admin,
		"-f", filepath.Join(cluster.Root(), "config/components/archive-reading/reading.yaml"))
	if out, err := apply.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	command := exec.Command(binary, "--archive="+location, "--archive-bind-address="+address, "--metrics-bind-address=0",
		"--health-probe-bind-address=0", "--kubeconfig="+admin)
	command.Env = append(os.Environ(), "GOMEMLIMIT=900MiB") // as config/manager has it
	command.Stderr = io.Discard
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = command.Process.Kill(), command.Wait() })
	for deadline := time.Now().Add(cluster.Patience); ; time.Sleep(50 * time.Millisecond) {
		if connection, err := net.Dial("tcp", address); err == nil {
			_ = connection.Close()
			break
		} else if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
	return command.Process.Pid, playProxy(b, dir, address)
}

// playProxy serves as the API server does, with the archive behind its Service, and returns a kubeconfig.
func playProxy(b *testing.B, dir, archiveAddress string) string {
	b.Helper()
	transport, err := rest.TransportFor(k8s.Config)
	if err != nil {
		b.Fatal(err)
	}
	to := func(target string, through http.RoundTripper) *httputil.ReverseProxy {
		where, err := url.Parse(target)
		if err != nil {
			b.Fatal(err)
		}
		return &httputil.ReverseProxy{Transport: through, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(where) }}
	}
	host := k8s.Config.Host
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	mux := http.NewServeMux()
	mux.Handle("/", to(host, transport))
	mux.Handle(doorPath+"/", http.StripPrefix(doorPath, to("https://"+archiveAddress,
		&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true})))
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	config := clientcmdapi.NewConfig()
	config.Clusters["played"] = &clientcmdapi.Cluster{Server: server.URL}
	config.Contexts["played"] = &clientcmdapi.Context{Cluster: "played"}
	config.CurrentContext = "played"
	file := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		b.Fatal(err)
	}
	return file
}

// readout is how a run of the plugin went: when its first row came, how many there were, and the most memory it took, in MiB.
type readout struct {
	first  time.Duration
	rows   int
	memory float64
}

func readArchive(b *testing.B, config string, args []string) readout {
	b.Helper()
	var r readout
	began := time.Now()
	command := exec.CommandContext(b.Context(), program, append(args, "--kubeconfig", config)...)
	var complaints strings.Builder
	command.Stderr = &complaints
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	// what the system tells at the end would count this process, too, as it was when it began the other
	memory, done := make(chan float64), make(chan struct{})
	go func() {
		var most float64
		for {
			most = max(most, peak(command.Process.Pid))
			select {
			case <-done:
				memory <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	lines := bufio.NewScanner(out)
	for ; lines.Scan(); r.rows++ {
		if r.rows == 0 {
			r.first = time.Since(began)
		}
	}
	close(done)
	r.memory = <-memory
	if err := command.Wait(); err != nil || r.rows == 0 {
		b.Fatalf("%v with %d rows: %v: %s", args, r.rows, err, complaints.String())
	}
	return r
}

// peak is the most memory that a process has taken, in MiB; zero where the system does not tell.
func peak(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	found := regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		return 0
	}
	kB, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return 0
	}
	return kB / 1024
}
