// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
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
	// TLS is None or Opportunistic. Empty: Opportunistic.
	TLS v1alpha1.TLSMode
	// Login to the server. nil: none.
	Login *Login
	// Timeout of each step: connecting, the greeting, each command, the message. 0: 30s.
	Timeout time.Duration
	// HelloName is what to say hello as: a domain, or an address literal in brackets. Empty: the host's name.
	HelloName string
	// Dial opens connections. nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Login is a name and a password.
type Login struct {
	Username, Password string
	// AllowUnencrypted lets the password go over an open connection.
	AllowUnencrypted bool
}

// Format keeps the password out of whatever a Login is printed into.
func (l Login) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "login of "+strconv.Quote(l.Username))
}

func (l Login) check() error {
	switch {
	case l.Username == "":
		return errors.New("login: username is empty")
	case l.Password == "":
		return errors.New("login: password is empty")
	case strings.ContainsRune(l.Username+l.Password, 0):
		// RFC 4616: NUL separates the two.
		return errors.New("login: username and password may not contain NUL")
	}
	return nil
}

// server is one of Config.Servers, made ready to be dialled.
type server struct {
	host    string
	address string
}

func parseServers(names []string, port int) ([]server, error) {
	if port == 0 {
		port = defaultPort
	}
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
		servers = append(servers, server{host: host, address: net.JoinHostPort(host, strconv.Itoa(port))})
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
