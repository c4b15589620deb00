// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/mx"
)

const (
	defaultPort    = 25
	defaultTimeout = 30 * time.Second
	// maxHelloName is the length of a domain (RFC 5321, 4.5.3.1.2).
	maxHelloName = 255
)

// Config says how mail is handed to which servers.
type Config struct {
	// Servers are tried in this order: DNS names or IP addresses, those of IPv6 with or without brackets.
	Servers []string
	// Port of all servers. 0: 25.
	Port int
	// Timeout of each step: looking up, connecting, the greeting, each command, the message. 0: 30s.
	Timeout time.Duration
	// HelloName is what to say hello as: a domain, or an address literal in brackets. Empty: the host's name.
	HelloName string
	// Dial opens connections. nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS says whether and how connections are encrypted.
	TLS TLS
	// Login to the server. nil: none.
	Login *Login
	// MX finds the hosts that take mail for the servers, which are then domains. nil: the servers are hosts themselves.
	MX MX
	// DKIM signs each message. nil: no signature.
	DKIM *DKIM
	// Pool shares connections among senders. nil: a connection per message.
	Pool *Pool
	// Key names channel and revision with an @ between them: connections are reused only under the same key, and those of
	// other revisions of the channel than that of the Sender that was made last are closed.
	Key string
}

// MX finds the hosts that take mail for a domain at a port, in the order in which to try them.
type MX interface {
	Lookup(ctx context.Context, domain string, port int) ([]mx.Host, error)
}

// TLS says whether and how connections are encrypted.
type TLS struct {
	// Mode: empty is Opportunistic.
	Mode v1alpha1.TLSMode
	// MinVersion is the oldest version that is accepted, such as tls.VersionTLS13. 0: TLS 1.2.
	MinVersion uint16
	// Implicit: TLS begins with the connection (RFC 8314, 3.3), not by STARTTLS.
	Implicit bool
	// Roots vouch for servers. nil: the system's.
	Roots *x509.CertPool
	// Certificate of the client, for servers that want one. nil: none.
	Certificate *tls.Certificate
}

// Login is a name and a password.
type Login struct {
	// Mechanism: empty is Auto.
	Mechanism v1alpha1.AuthMechanism
	// Password is the access token where the mechanism is XOAUTH2.
	Username, Password string
	// AllowUnencrypted lets the password go over an open connection.
	AllowUnencrypted bool
}

// DKIM says how messages are signed (RFC 6376).
type DKIM struct {
	// Domain signs, and has the public key in DNS at Selector._domainkey.Domain.
	Domain, Selector string
	// Key is RSA with 2048 bits at least, or Ed25519.
	Key crypto.Signer
}

// Format keeps the password out of whatever a Login is printed into.
func (l Login) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "login of "+strconv.Quote(l.Username))
}

func (l Login) check() error {
	if _, known := mechanisms[l.Mechanism]; !known {
		return fmt.Errorf("login: mechanism %q: must be Auto, Plain, Login, CRAM-MD5, SCRAM-SHA-256, XOAUTH2 or NTLM", l.Mechanism)
	}
	switch {
	case l.Username == "":
		return errors.New("login: username is empty")
	case l.Password == "":
		return errors.New("login: password is empty")
	case strings.ContainsRune(l.Username+l.Password, 0):
		// RFC 4616: NUL separates the two.
		return errors.New("login: username and password may not contain NUL")
	case l.Mechanism == authXOAUTH2 && strings.ContainsFunc(l.Username+l.Password, unicode.IsControl):
		// Control-A separates the two, and no token has any other.
		return errors.New("login: username and token may not contain control characters")
	}
	return nil
}

// Format keeps the key out of whatever a DKIM is printed into.
func (d DKIM) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "DKIM of "+strconv.Quote(d.Selector+"._domainkey."+d.Domain))
}

// server is one of Config.Servers, or a host that takes mail for it, made ready to be dialled.
type server struct {
	// host is a name in A-labels, or an IP address.
	host string
	// address is host:port, as it is told.
	address string
	// dials are what to connect to, in this order.
	dials []string
	// domain is the one that the host takes mail for, where it was found by MX.
	domain string
	// names are those of which the server's certificate must have one.
	names []string
	// mx is how the host was found. nil: it was configured.
	mx *mx.Host
}

func parseServers(names []string, port int) ([]server, error) {
	if port < 1 || port > 65535 {
		return nil, fmt.Errorf("port %d: must be between 1 and 65535", port)
	}
	if len(names) == 0 {
		return nil, errors.New("servers: must name one at least")
	}
	servers := make([]server, 0, len(names))
	for _, name := range names {
		host, err := parseHost(name)
		if err != nil {
			return nil, fmt.Errorf("server %q: %w", name, err)
		}
		address := net.JoinHostPort(host, strconv.Itoa(port))
		servers = append(servers, server{host: host, address: address, dials: []string{address}, names: []string{host}})
	}
	return servers, nil
}

func parseHost(name string) (string, error) {
	literal, bracketed := strings.CutPrefix(name, "[")
	if bracketed {
		literal = strings.TrimSuffix(literal, "]")
	}
	if _, err := netip.ParseAddr(literal); err == nil {
		return literal, nil
	}
	if bracketed || name == "" || strings.ContainsAny(name, " \t\r\n\x00:/@") {
		return "", errors.New("must be a DNS name or an IP address; the port has a field of its own")
	}
	return asciiDomain(name)
}

// asciiDomain turns an internationalised domain into its A-labels (RFC 5891). Others stay as they are: DNS knows more
// names than IDNA allows, such as those with an underscore.
func asciiDomain(domain string) (string, error) {
	if isASCII(domain) {
		return domain, nil
	}
	return lookup.ToASCII(domain)
}

// lookup is idna.Lookup that also knows how long DNS lets a name and its labels be.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.VerifyDNSLength(true))

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// helloName is what to say hello as: what was configured, else the host's name, else localhost.
func helloName(configured string, hostname func() (string, error)) (string, error) {
	if configured != "" {
		if !validHelloName(configured) {
			return "", fmt.Errorf("hello name %q: must be a domain, or an address literal such as [192.0.2.1]", configured)
		}
		return configured, nil
	}
	if name, err := hostname(); err == nil {
		name = strings.Trim(strings.ReplaceAll(name, "_", "-"), "-.")
		if ascii, err := asciiDomain(name); err == nil && validHelloName(ascii) {
			return ascii, nil
		}
	}
	return "localhost", nil
}

// validHelloName follows RFC 5321, 4.1.2: Domain or address-literal.
func validHelloName(name string) bool {
	if literal, ok := strings.CutPrefix(name, "["); ok {
		literal, closed := strings.CutSuffix(literal, "]")
		_, err := netip.ParseAddr(strings.TrimPrefix(literal, "IPv6:"))
		return closed && err == nil
	}
	if len(name) > maxHelloName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.ContainsFunc(label, func(r rune) bool { return !isLetterOrDigit(r) && r != '-' }) {
			return false
		}
	}
	return true
}

func isLetterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
