// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dovecot is two Dovecots: one takes mail by LMTP and submission, the other by submission from those who have a certificate.
type dovecot struct {
	// mail is the folder with a Maildir for each recipient.
	mail string
	// Ports: of LMTP, of submission with STARTTLS and with TLS from the beginning, and of submission with a certificate.
	lmtp, submission, submissions, certified int
}

const dovecotConf = `
base_dir = {DIR}/run
state_dir = {DIR}/state
log_path = {DIR}/log
listen = 127.0.0.1
hostname = mx.interop.example
protocols = {PROTOCOLS}
ssl = required
ssl_cert = <{DIR}/../tls/server.crt
ssl_key = <{DIR}/../tls/server.key
auth_mechanisms = plain login cram-md5 scram-sha-256 xoauth2
auth_failure_delay = 0
first_valid_uid = 65534
mail_location = maildir:{MAIL}/%u
mail_home = {MAIL}/home/%u
postmaster_address = postmaster@interop.example
passdb {
  driver = oauth2
  mechanisms = xoauth2
  args = {DIR}/oauth2.conf
}
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-256
  args = {DIR}/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 allow_all_users=yes
}
submission_relay_host = 127.0.0.1
submission_relay_port = {RELAY}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service submission-login {
  inet_listener submission {
    port = {SUBMISSION}
  }
  inet_listener submissions {
    port = {SUBMISSIONS}
    ssl = yes
  }
}
`

const dovecotLMTP = `
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = {LMTP}
  }
}
`

const dovecotCertified = `
ssl_ca = <{DIR}/../tls/ca.crt
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
`

// startDovecot starts both. Postfix, to which they relay, is told its port by peers.relay, before it runs.
func startDovecot() ([]*program, error) {
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	d := &dovecot{mail: filepath.Join(peers.dir, "mail"), lmtp: ports[0], submission: ports[1], submissions: ports[2], certified: ports[3]}
	if err := os.Mkdir(d.mail, 0o755); err != nil {
		return nil, err
	}
	if err := chown("nobody", d.mail); err != nil {
		return nil, err
	}
	peers.dovecot, peers.relay = d, ports[5]
	first, err := d.start("dovecot", "lmtp submission", dovecotConf+dovecotLMTP, d.submission, d.submissions)
	if err != nil {
		return nil, err
	}
	started := []*program{first}
	second, err := d.start("dovecot-certified", "submission", dovecotConf+dovecotCertified, d.certified, ports[4])
	if err != nil {
		return started, err
	}
	started = append(started, second)
	if err := first.await(d.lmtp, d.submission, d.submissions); err != nil {
		return started, err
	}
	return started, second.await(d.certified)
}

func (d *dovecot) start(name, protocols, conf string, submission, submissions int) (*program, error) {
	dir := filepath.Join(peers.dir, name)
	fill := strings.NewReplacer("{DIR}", dir, "{MAIL}", d.mail, "{PROTOCOLS}", protocols, "{RELAY}", fmt.Sprint(peers.relay),
		"{LMTP}", fmt.Sprint(d.lmtp), "{SUBMISSION}", fmt.Sprint(submission), "{SUBMISSIONS}", fmt.Sprint(submissions))
	if err := write(dir, map[string]string{
		"dovecot.conf": fill.Replace(conf),
		"users":        username + ":{PLAIN}" + password + "\n",
		"oauth2.conf": "introspection_mode = auth\nintrospection_url = " + peers.tokens.url + "\n" +
			"username_attribute = username\nactive_attribute = active\nactive_value = yes\n",
	}); err != nil {
		return nil, err
	}
	return start(name, dir+"/log", "dovecot", "-F", "-c", dir+"/dovecot.conf")
}

// token is the one that the token server knows.
const token = "ya29.a-token-that-is-good"

// tokens is the server that Dovecot asks about tokens (RFC 7662).
type tokens struct{ url string }

func startTokens() ([]*program, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	peers.tokens = &tokens{url: "http://" + listener.Addr().String() + "/introspect"}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		active := "no"
		if r.Header.Get("Authorization") == "Bearer "+token {
			active = "yes"
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"active":%q,"username":%q}`, active, username)
	})}
	go func() { _ = server.Serve(listener) }()
	return nil, nil
}

// arrived waits for the mail with that Message-ID in the recipient's Maildir.
func (d *dovecot) arrived(t testing.TB, recipient, id string) []byte {
	t.Helper()
	var mails [][]byte
	eventually(t, "the mail "+id+" to "+recipient, func() bool {
		mails = d.mails(t, recipient, id)
		return len(mails) > 0
	})
	return mails[0]
}

// mails are those with that Message-ID in the recipient's Maildir.
func (d *dovecot) mails(t testing.TB, recipient, id string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.mail, recipient, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var found [][]byte
	for _, file := range files {
		mail, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(mail, []byte("\nMessage-ID: <"+id+">\n")) {
			found = append(found, mail)
		}
	}
	return found
}
