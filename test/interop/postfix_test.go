// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// postfix is one Postfix that listens on a port for each of its services.
type postfix struct {
	*program
	ports map[string]int
}

// services are what the ports of the Postfix differ in. What they log begins with postfix/ and their name.
var services = map[string][]string{
	// open has no TLS, and takes mail from everybody for the domains it knows.
	"open": {"smtpd_tls_security_level = none"},
	// starttls offers it.
	"starttls": {},
	// login wants TLS and a login.
	"login": {"smtpd_tls_security_level = encrypt", "smtpd_sasl_auth_enable = yes", onlyWithLogin},
	// mistaken is as login is, for those who read its log.
	"mistaken": {"smtpd_tls_security_level = encrypt", "smtpd_sasl_auth_enable = yes", onlyWithLogin},
	// openLogin wants a login, and has no TLS.
	"openLogin": {"smtpd_tls_security_level = none", "smtpd_sasl_auth_enable = yes", onlyWithLogin},
	// plainOnly offers no way to log in that does not show the password.
	"plainOnly": {"smtpd_tls_security_level = none", "smtpd_sasl_auth_enable = yes", "smtpd_sasl_mechanism_filter = plain login", onlyWithLogin},
	// implicit begins with TLS.
	"implicit": {"smtpd_tls_wrappermode = yes", "smtpd_sasl_auth_enable = yes", onlyWithLogin},
	// old has no TLS 1.3.
	"old": {"smtpd_tls_protocols = >=TLSv1.2 <=TLSv1.2"},
	// ancient has nothing newer than TLS 1.1, with which Debian's OpenSSL lowers its demands only where it is asked to.
	"ancient": {"smtpd_tls_protocols = >=TLSv1 <=TLSv1.1", "tls_medium_cipherlist = ALL:@SECLEVEL=0", "smtpd_tls_ciphers = medium"},
	// certificate wants one of the client.
	"certificate": {"smtpd_tls_security_level = encrypt", "smtpd_tls_req_ccert = yes"},
	// ascii knows nothing of SMTPUTF8.
	"ascii": {"smtputf8_enable = no"},
	// choosy refuses some recipients and defers others.
	"choosy": {"smtpd_recipient_restrictions = check_recipient_access inline:{ " +
		"{ gone@example.com = 550 5.1.1 No such person } { late@example.com = 450 4.2.1 Mailbox busy } }, permit_mynetworks, reject"},
	// moody refuses some senders, and all messages of one.
	"moody": {"smtpd_sender_restrictions = check_sender_access inline:{ { refused@example.com = 550 5.7.1 Not you } }",
		"smtpd_data_restrictions = check_sender_access inline:{ { silent@example.com = 554 5.7.1 Nothing from you } }",
		"smtpd_end_of_data_restrictions = check_sender_access inline:{ { spam@example.com = 554 5.7.1 That is spam } { greedy@example.com = 452 4.3.1 No room } }"},
	// greylisting asks a policy server.
	"greylisting": {"smtpd_recipient_restrictions = check_policy_service inet:{POLICY}, permit_mynetworks, reject"},
	// burst and crowd are as starttls is, for those who count connections.
	"burst": {}, "crowd": {},
	// unlisted has no TLSA record.
	"unlisted": {},
	// hasty hangs up on who says nothing for a second.
	"hasty": {"smtpd_timeout = 1s"},
	// narrow takes few recipients and little text.
	"narrow": {"smtpd_recipient_limit = 2", "message_size_limit = 4000"},
	// signed asks OpenDKIM about signatures.
	"signed": {"smtpd_milters = inet:{MILTER}", "milter_default_action = tempfail"},
	// relay takes from Dovecot what was submitted there.
	"relay": {"smtpd_tls_security_level = none"},
}

const onlyWithLogin = "smtpd_recipient_restrictions = permit_sasl_authenticated, reject"

const mainCF = `
compatibility_level = 3.6
queue_directory = {DIR}/queue
data_directory = {DIR}/data
maillog_file = {DIR}/log
maillog_file_prefixes = {DIR}
myhostname = mx.interop.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
alias_maps =
alias_database =
smtputf8_enable = yes
in_flow_delay = 0
smtpd_error_sleep_time = 0
smtpd_forbid_bare_newline = yes
smtpd_forbid_unauth_pipelining = yes
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_chain_files = {DIR}/../tls/server.pem
smtpd_tls_CAfile = {DIR}/../tls/ca.crt
smtpd_tls_loglevel = 1
smtpd_tls_auth_only = no
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = interop.example
smtpd_sasl_security_options = noanonymous
smtpd_sasl_tls_security_options = noanonymous
cyrus_sasl_config_path = {DIR}/conf/sasl
virtual_mailbox_domains = example.com, interop.example, xn--bcher-kva.example, utf8.example
virtual_transport = lmtp:inet:{LMTP}
transport_maps = inline:{ { utf8.example = virtual: } }
virtual_mailbox_base = {MAIL}
virtual_mailbox_maps = static:utf8.example/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
lmtp_host_lookup = native
`

const masterCF = `
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix starts Postfix, which gives what it takes to Dovecot by LMTP, and what only SMTPUTF8 can say to a Maildir.
func startPostfix() ([]*program, error) {
	dir := filepath.Join(peers.dir, "postfix")
	p := &postfix{ports: map[string]int{}}
	master, err := p.masterCF()
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("{DIR}", dir, "{LMTP}", address(peers.dovecot.lmtp), "{MAIL}", peers.dovecot.mail,
		"{POLICY}", peers.policy.address(), "{MILTER}", address(peers.opendkim.port))
	if err := write(dir+"/conf", map[string]string{"main.cf": fill.Replace(mainCF), "master.cf": fill.Replace(master)}); err != nil {
		return nil, err
	}
	if err := writeLogin(dir+"/conf/sasl", dir+"/sasldb2"); err != nil {
		return nil, err
	}
	for _, folder := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	if err := chown("postfix", dir+"/data"); err != nil {
		return nil, err
	}
	// This makes the folders of the queue. `postfix start-fg` would leave the master to itself when it is told to end.
	if _, err := command(dir, "", "postfix", "-c", dir+"/conf", "check"); err != nil {
		return nil, err
	}
	programs, err := command(dir, "", "postconf", "-d", "-h", "daemon_directory")
	if err != nil {
		return nil, err
	}
	p.program, err = start("Postfix", dir+"/log", filepath.Join(strings.TrimSpace(programs), "master"), "-c", dir+"/conf", "-s")
	if err != nil {
		return nil, err
	}
	peers.postfix = p
	return []*program{p.program}, p.await(slices.Collect(maps.Values(p.ports))...)
}

// writeLogin sets up the SASL library. Debian's Postfix looks for its settings beside its own only.
func writeLogin(dir, database string) error {
	if err := write(dir, map[string]string{
		"smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: " + database + "\n" +
			"mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 NTLM\n",
	}); err != nil {
		return err
	}
	name, realm, _ := strings.Cut(username, "@")
	if _, err := command(dir, password, "saslpasswd2", "-p", "-c", "-f", database, "-u", realm, name); err != nil {
		return err
	}
	return chown("postfix", database)
}

// masterCF gives each service a port.
func (p *postfix) masterCF() (string, error) {
	ports, err := freePorts(len(services))
	if err != nil {
		return "", err
	}
	text := strings.Builder{}
	for name, options := range services {
		p.ports[name] = ports[len(p.ports)]
		if name == "relay" {
			p.ports[name] = peers.relay
		}
		fmt.Fprintf(&text, "%s inet n - n - - smtpd\n  -o syslog_name=postfix/%s\n", address(p.ports[name]), name)
		for _, option := range options {
			fmt.Fprintf(&text, "  -o { %s }\n", option)
		}
	}
	return masterCF + text.String(), nil
}

func chown(name string, paths ...string) error {
	owner, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(owner.Gid)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// logged are the lines of a service's log that match.
func (p *postfix) logged(t testing.TB, service, pattern string) []string {
	t.Helper()
	log, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`postfix/` + service + `/smtpd\[\d+\]: ` + pattern)
	var lines []string
	for line := range strings.Lines(string(log)) {
		if wanted.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// policy is a policy server of Postfix that defers each mail to each recipient once, as greylisting does.
type policy struct {
	listener net.Listener

	mu   sync.Mutex
	seen map[string]bool
}

func startPolicy() ([]*program, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	peers.policy = &policy{listener: listener, seen: map[string]bool{}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go peers.policy.serve(conn)
		}
	}()
	return nil, nil
}

func (p *policy) address() string { return p.listener.Addr().String() }

// serve answers requests: lines of name=value, an empty one at the end.
func (p *policy) serve(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	var key string
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch name {
		case "sender", "recipient":
			key += value + " "
		case "":
			if _, err := fmt.Fprintf(conn, "action=%s\n\n", p.decide(key)); err != nil {
				return
			}
			key = ""
		}
	}
}

func (p *policy) decide(key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[key] {
		return "DUNNO"
	}
	p.seen[key] = true
	return "450 4.2.0 Greylisted, come back later"
}
