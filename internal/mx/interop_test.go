// SPDX-License-Identifier: Apache-2.0

//go:build interop

package mx_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tocsin-dev/tocsin/internal/mx"
)

// records of every zone; %s is its name.
const zoneFile = `$TTL 300
@ SOA ns root 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ MX 20 second
@ MX 10 mx
mx A 127.0.0.1
second A 127.0.0.2
_25._tcp.mx TLSA 3 1 1 ` + digest + `
null MX 0 .
plain A 127.0.0.3
alias CNAME mx
hosts MX 10 forged
hosts MX 20 untold
hosts MX 30 alias
forged A 127.0.0.4
untold A 127.0.0.5
_25._tcp.untold TLSA 3 1 1 ` + digest + `
`

// tampered is what is changed after signing.
var tampered = map[string]map[string]string{
	"signed.example": {"127.0.0.4": "127.0.0.66", "untold.signed.example. 300 IN TLSA 3 1 1 01": "untold.signed.example. 300 IN TLSA 3 1 1 FF"},
	"broken.example": {"MX 10 mx.": "MX 10 evil."},
}

// TestUnboundAndBIND looks up what BIND serves and Unbound validates.
func TestUnboundAndBIND(t *testing.T) {
	t.Parallel()
	validating, silent, authoritative := startUnboundAndBIND(t)
	require := newResolver(t, requireDNSSEC, validating)
	advise := newResolver(t, nil, validating)
	// Of an unbound as it is by default, which does not say that an answer is bogus: the next one would have it.
	unsaid := newResolver(t, nil, silent, authoritative)
	unvalidated := newResolver(t, requireDNSSEC, authoritative)

	full := func(zone string, authenticated bool) []mx.Host {
		first := mx.Host{Name: "mx." + zone, Addresses: addrs("127.0.0.1"), Authenticated: authenticated, TLSRequired: authenticated}
		if authenticated {
			first.TLSA = []mx.TLSA{tlsa(3, 1, 1)}
		}
		return []mx.Host{first, {Name: "second." + zone, Addresses: addrs("127.0.0.2"), Authenticated: authenticated}}
	}
	alias := full("signed.example", true)[0]
	for name, tc := range map[string]struct {
		resolver *mx.Resolver
		domain   string
		want     []mx.Host
		reason   mx.Reason
	}{
		"signed":                       {advise, "signed.example", full("signed.example", true), ""},
		"signed, required":             {require, "signed.example", full("signed.example", true), ""},
		"unsigned":                     {advise, "unsigned.example", full("unsigned.example", false), ""},
		"unsigned, required":           {require, "unsigned.example", nil, mx.NotAuthenticated},
		"broken":                       {advise, "broken.example", nil, mx.Bogus},
		"broken, and nobody says so":   {unsaid, "broken.example", nil, mx.Bogus},
		"signed, and nobody says so":   {unsaid, "signed.example", full("signed.example", true), ""},
		"forged, and nobody says so":   {unsaid, "hosts.signed.example", []mx.Host{failedHost("forged.signed.example", mx.Bogus), failedHost("untold.signed.example", mx.Bogus), alias}, ""},
		"broken, required":             {require, "broken.example", nil, mx.Bogus},
		"null MX":                      {require, "null.signed.example", nil, mx.NullMX},
		"null MX, unsigned, required":  {require, "null.unsigned.example", nil, mx.NotAuthenticated},
		"no MX":                        {require, "plain.signed.example", []mx.Host{{Name: "plain.signed.example", Addresses: addrs("127.0.0.3"), Authenticated: true}}, ""},
		"no domain":                    {require, "gone.signed.example", nil, mx.NotFound},
		"an alias":                     {require, "alias.signed.example", []mx.Host{alias}, ""},
		"hosts forged, TLSA forged":    {require, "hosts.signed.example", []mx.Host{failedHost("forged.signed.example", mx.Bogus), failedHost("untold.signed.example", mx.Bogus), alias}, ""},
		"more than fits in a datagram": {require, "big.signed.example", nil, mx.NotFound},
		"signed, but nobody validates": {unvalidated, "signed.example", nil, mx.NotAuthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			hosts, err := tc.resolver.Lookup(t.Context(), tc.domain, 25)
			if got := reason(err); got != tc.reason {
				t.Fatalf("error %v, want %q", err, tc.reason)
			}
			if tc.domain == "big.signed.example" && !strings.Contains(err.Error(), "no address") {
				t.Errorf("error %v, want that of the hosts, of which none has an address", err)
			}
			if d := diff(hosts, tc.want); d != "" {
				t.Errorf("hosts (-want +got):\n%s", d)
			}
		})
	}
}

// startUnboundAndBIND starts two Unbounds, of which the second does not tell why it refuses an answer, and a BIND.
func startUnboundAndBIND(t *testing.T) (validating, silent, authoritative *resolver) {
	t.Helper()
	dir := t.TempDir()
	bindPort, unboundPort, silentPort := freePort(t), freePort(t), freePort(t)
	var named, unbound strings.Builder
	fmt.Fprintf(&named, `options { directory %q; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
pid-file "named.pid"; session-keyfile "session.key"; dnssec-validation no; };
controls {};
`, dir, bindPort)
	fmt.Fprintf(&unbound, `server:
 interface: 127.0.0.1@{PORT}
 username: ""
 chroot: ""
 directory: %q
 pidfile: ""
 use-syslog: no
 do-daemonize: no
 do-ip6: no
 do-not-query-localhost: no
 module-config: "validator iterator"
 ede: {EDE}
`, dir)
	var stubs strings.Builder
	for _, zone := range []string{"signed.example", "unsigned.example", "broken.example"} {
		file := writeZone(t, dir, zone)
		if zone != "unsigned.example" {
			anchor := ""
			file, anchor = sign(t, dir, zone, file)
			fmt.Fprintf(&unbound, " trust-anchor-file: %q\n", anchor)
		}
		fmt.Fprintf(&named, "zone %q { type primary; file %q; };\n", zone, file)
		fmt.Fprintf(&stubs, "stub-zone:\n name: %q\n stub-addr: 127.0.0.1@%d\n", zone, bindPort)
	}
	unbound.WriteString(stubs.String() + "remote-control:\n control-enable: no\n")
	start(t, bindPort, "named", "-g", "-n", "1", "-c", write(t, dir, "named.conf", named.String()))
	for port, ede := range map[int]string{unboundPort: "yes", silentPort: "no"} {
		text := strings.NewReplacer("{PORT}", strconv.Itoa(port), "{EDE}", ede).Replace(unbound.String())
		start(t, port, "unbound", "-d", "-c", write(t, dir, "unbound-"+ede+".conf", text))
	}
	return &resolver{address: local(unboundPort)}, &resolver{address: local(silentPort)}, &resolver{address: local(bindPort)}
}

func writeZone(t *testing.T, dir, zone string) string {
	t.Helper()
	text := zoneFile
	for i := range 100 {
		text += fmt.Sprintf("big MX 10 a-host-with-a-long-name-%d\n", i)
	}
	return write(t, dir, zone+".zone", text)
}

// sign a zone, tamper with it, and tell where it and its key are.
func sign(t *testing.T, dir, zone, file string) (signed, anchor string) {
	t.Helper()
	key := strings.TrimSpace(run(t, dir, "dnssec-keygen", "-q", "-K", dir, "-a", "ECDSAP256SHA256", "-f", "KSK", zone))
	signed = file + ".signed"
	run(t, dir, "dnssec-signzone", "-q", "-S", "-z", "-O", "full", "-K", dir, "-d", dir, "-o", zone, "-f", signed, file)
	text, err := os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	// One record a line, its parts one space apart.
	var lines []string
	for line := range strings.Lines(string(text)) {
		line = strings.Join(strings.Fields(line), " ")
		for old, changed := range tampered[zone] {
			line = strings.ReplaceAll(line, old, changed)
		}
		lines = append(lines, line)
	}
	return write(t, dir, filepath.Base(signed), strings.Join(lines, "\n")+"\n"), filepath.Join(dir, key+".key")
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// program finds what may not be on the path of who is not root.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed; Debian's packages bind9, bind9-utils and unbound have what this test needs", name)
	return ""
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, name), args...)
	cmd.Dir = dir
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, complaints.String())
	}
	return string(out)
}

// start a server, await that it answers, and stop it when the test ends.
func start(t *testing.T, port int, name string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program(t, name), args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, output.String())
		}
	})
	question := new(dns.Msg)
	question.SetQuestion("unsigned.example.", dns.TypeSOA)
	client := dns.Client{Timeout: 200 * time.Millisecond}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, _, err := client.Exchange(question, local(port))
		if err == nil && len(answer.Answer) > 0 {
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended", name)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v, %v", name, answer, err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	packets, streams := listen(t)
	defer packets.Close()
	defer streams.Close()
	return packets.LocalAddr().(*net.UDPAddr).Port
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
