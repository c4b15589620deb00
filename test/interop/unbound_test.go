// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// unbound is a resolver that validates, and has the signed zone of mailDomain and another that nobody signed.
type unbound struct {
	*program
	port int
}

// unsignedDomain has the same mail server.
const unsignedDomain = "unsigned.example"

func (u *unbound) address() string { return address(u.port) }

const unboundConf = `
server:
  directory: "{DIR}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  interface: 127.0.0.1
  port: {PORT}
  outgoing-interface: 127.0.0.1
  trust-anchor-signaling: no
  do-ip6: no
  module-config: "validator iterator"
  trust-anchor-file: "{DIR}/anchor"
remote-control:
  control-enable: no
auth-zone:
  name: interop.example
  zonefile: "{DIR}/interop.example.signed"
  for-downstream: no
  for-upstream: yes
auth-zone:
  name: unsigned.example
  zonefile: "{DIR}/unsigned.example"
  for-downstream: no
  for-upstream: yes
`

const zoneHead = `$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
ns A 127.0.0.1
`

// startUnbound publishes the Postfix: TLSA records that are right for most of its ports, wrong for one, none for another.
func startUnbound() ([]*program, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(peers.dir, "unbound")
	zone := zoneHead + "@ MX 10 mx\nmx A 127.0.0.1\nfailover MX 10 down\nfailover MX 20 mx\ndown A 127.0.0.77\nsilent MX 0 .\n"
	right, wrong := sha256.Sum256(peers.certificate.Leaf.RawSubjectPublicKeyInfo), sha256.Sum256(nil)
	for service, digest := range map[string][32]byte{"open": right, "starttls": right, "implicit": right, "old": wrong} {
		zone += fmt.Sprintf("_%d._tcp.mx TLSA 3 1 1 %x\n", peers.postfix.ports[service], digest)
	}
	for selector, key := range peers.opendkim.keys {
		zone += selector + "._domainkey TXT"
		for part := range slices.Chunk([]byte(key.record), 255) { // as long as a string in a record may be
			zone += fmt.Sprintf(" %q", part)
		}
		zone += "\n"
	}
	if err := write(dir, map[string]string{
		"unbound.conf": strings.NewReplacer("{DIR}", dir, "{PORT}", fmt.Sprint(ports[0])).Replace(unboundConf),
		mailDomain:     zone,
		unsignedDomain: zoneHead + "@ MX 10 " + mailHost + ".\n",
	}); err != nil {
		return nil, err
	}
	if err := sign(dir, mailDomain); err != nil {
		return nil, err
	}
	u := &unbound{port: ports[0]}
	if u.program, err = start("unbound", dir+"/log", "unbound", "-d", "-c", dir+"/unbound.conf"); err != nil {
		return nil, err
	}
	peers.unbound = u
	return []*program{u.program}, u.await(u.port)
}

// sign makes a key that signs the zone, and itself, and is the anchor of trust.
func sign(dir, zone string) error {
	key, err := command(dir, "", "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone)
	if err != nil {
		return err
	}
	key = strings.TrimSpace(key)
	if _, err := command(dir, "", "dnssec-signzone", "-z", "-S", "-o", zone, "-f", zone+".signed", zone, key); err != nil {
		return err
	}
	_, err = command(dir, "", "cp", key+".key", "anchor")
	return err
}
