// SPDX-License-Identifier: Apache-2.0

package fakesmtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Step is a point of the conversation at which a scripted server can do something of its own.
type Step string

// The steps. Those for which a Script has no Action go as they should.
const (
	Connect  Step = "connect"
	Ehlo     Step = "EHLO"
	Helo     Step = "HELO"
	StartTLS Step = "STARTTLS"
	Auth     Step = "AUTH"
	Mail     Step = "MAIL"
	Rcpt     Step = "RCPT"
	Data     Step = "DATA"
	// Content is when the first line of the message has come.
	Content Step = "content"
	// FinalDot is when the whole message has come.
	FinalDot Step = "final dot"
	Rset     Step = "RSET"
	Quit     Step = "QUIT"
)

// Script says what a server does at which step.
type Script map[Step]Action

// Action is what a server does. It ends the conversation by closing the connection.
type Action func(*Session)

// wellBehaved is what a server does at steps for which nothing else is said. It has no STARTTLS and no AUTH.
var wellBehaved = Script{
	Connect:  Reply("220 fake.example ESMTP"),
	Ehlo:     Reply("250-fake.example", "250-8BITMIME", "250 ENHANCEDSTATUSCODES"),
	Helo:     Reply("250 fake.example"),
	StartTLS: Encrypt(tls.VersionTLS13),
	Auth:     Reply("235 2.7.0 welcome"),
	Mail:     Reply("250 2.1.0 ok"),
	Rcpt:     Reply("250 2.1.5 ok"),
	Data:     Reply("354 go ahead"),
	Content:  func(*Session) {},
	FinalDot: Reply("250 2.0.0 queued as FAKE1"),
	Rset:     Reply("250 2.0.0 forgotten"),
	Quit:     Then(Reply("221 2.0.0 bye"), Drop()),
}

// AsItShould is what a server does at a step for which its script says nothing.
func AsItShould(step Step) Action { return wellBehaved[step] }

// Session is one connection to a scripted server.
type Session struct {
	conn   net.Conn
	in     *bufio.Reader
	closed bool
	// goesAhead: the last thing it said was that a message may come.
	goesAhead bool
	// hungUp is closed when the client closes a connection made by Dial.
	hungUp <-chan struct{}
}

// Reply says these lines.
func Reply(lines ...string) Action { return Raw(strings.Join(lines, "\r\n") + "\r\n") }

// Raw says just that.
func Raw(text string) Action {
	return func(s *Session) {
		s.goesAhead = strings.HasPrefix(text, "354")
		_, _ = io.WriteString(s.conn, text)
	}
}

// Flood says that over and over, until the client has had enough.
func Flood(text string) Action {
	return func(s *Session) {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(s.conn, text)
		}
		s.close()
	}
}

// Hang says nothing more, until the client hangs up.
func Hang() Action {
	return func(s *Session) {
		_, _ = io.Copy(io.Discard, s.in)
		s.close()
	}
}

// Stall neither says nor hears anything more, until the client hangs up. It fits only connections made by Dial.
func Stall() Action {
	return func(s *Session) {
		<-s.hungUp
		s.close()
	}
}

// Drip says that over and over, with a pause before each time, until the client has had enough.
func Drip(text string, pause time.Duration) Action {
	return func(s *Session) {
		for err := error(nil); err == nil; {
			time.Sleep(pause)
			_, err = io.WriteString(s.conn, text)
		}
		s.close()
	}
}

// Pause says nothing for a while.
func Pause(d time.Duration) Action { return func(*Session) { time.Sleep(d) } }

// Drop closes the connection.
func Drop() Action { return (*Session).close }

// Reset closes the connection as a crash does: without telling what was not read.
func Reset() Action {
	return func(s *Session) {
		if tcp, ok := s.conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		s.close()
	}
}

// Encrypt is what STARTTLS is for, with that version of TLS at most.
func Encrypt(version uint16) Action { return Then(Reply("220 2.0.0 ready"), Handshake(version)) }

// Handshake speaks TLS from now on, of that version at most.
func Handshake(version uint16) Action {
	config := serverTLS()
	config.MinVersion, config.MaxVersion = min(config.MinVersion, version), version
	return HandshakeWith(config)
}

// EncryptWith is what STARTTLS is for, with those settings.
func EncryptWith(config *tls.Config) Action {
	return Then(Reply("220 2.0.0 ready"), HandshakeWith(config))
}

// HandshakeWith speaks TLS from now on, with those settings.
func HandshakeWith(config *tls.Config) Action {
	return func(s *Session) {
		encrypted := tls.Server(s.conn, config)
		if encrypted.HandshakeContext(context.Background()) != nil {
			s.close()
			return
		}
		s.conn, s.in = encrypted, bufio.NewReader(encrypted)
	}
}

// Then does one thing after the other.
func Then(actions ...Action) Action {
	return func(s *Session) {
		for _, act := range actions {
			act(s)
		}
	}
}

// InTurn does the first when it comes to it the first time, the second the second time, and the last from then on.
func InTurn(actions ...Action) Action {
	var mu sync.Mutex
	return func(s *Session) {
		mu.Lock()
		act := actions[0]
		if len(actions) > 1 {
			actions = actions[1:]
		}
		mu.Unlock()
		act(s)
	}
}

func (s *Session) close() {
	_ = s.conn.Close()
	s.closed = true
}

// ScriptServer does what its script says.
type ScriptServer struct {
	script   Script
	listener net.Listener
	serving  sync.WaitGroup

	mu          sync.Mutex
	connections int
	most        int
	open        map[net.Conn]struct{}
	heard       []string
}

// NewScript makes a server that is reached by Dial alone.
func NewScript(script Script) *ScriptServer {
	return &ScriptServer{script: script, open: map[net.Conn]struct{}{}}
}

// StartScript runs a server until the test is over. It waits for the client to close its connections, so that a test in
// which a client does not will not end.
func StartScript(t testing.TB, script Script) *ScriptServer {
	t.Helper()
	s := NewScript(script)
	s.listener = listen(t, "")
	s.serving.Go(s.accept)
	t.Cleanup(s.WaitClosed)
	return s
}

func (s *ScriptServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.serving.Go(func() { s.serve(conn, nil) })
	}
}

// Dial connects to the server without a network, whatever the address. It fits where a net.Dialer's DialContext does.
func (s *ScriptServer) Dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	hungUp := make(chan struct{})
	s.serving.Go(func() { s.serve(server, hungUp) })
	return &pipeEnd{Conn: client, hangUp: sync.OnceFunc(func() { close(hungUp) })}, nil
}

// pipeEnd tells when it is closed.
type pipeEnd struct {
	net.Conn
	hangUp func()
}

// Close implements net.Conn.
func (p *pipeEnd) Close() error {
	p.hangUp()
	return p.Conn.Close()
}

// Host is the address that the server listens on.
func (s *ScriptServer) Host() string { return hostOf(s.listener) }

// Port is the port that the server listens on.
func (s *ScriptServer) Port() int { return portOf(s.listener) }

// Connections is how many there were.
func (s *ScriptServer) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Open is how many there are.
func (s *ScriptServer) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// MostAtOnce is how many there were at once, at most.
func (s *ScriptServer) MostAtOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Heard is all lines that clients said, what they sent as a message included.
func (s *ScriptServer) Heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// WaitClosed takes no further connections, and waits until all that there are are closed.
func (s *ScriptServer) WaitClosed() {
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.serving.Wait()
}

// HangUp takes no further connections, and closes those that there are: for a client that would wait for longer than the
// test does.
func (s *ScriptServer) HangUp() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

func (s *ScriptServer) serve(conn net.Conn, hungUp <-chan struct{}) {
	s.mu.Lock()
	s.connections++
	s.open[conn] = struct{}{}
	s.most = max(s.most, len(s.open))
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
	}()
	session := &Session{conn: conn, in: bufio.NewReader(conn), hungUp: hungUp}
	defer session.close()
	s.at(Connect, session)
	for !session.closed {
		line, err := s.hear(session)
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(line, " ")
		step := Step(strings.ToUpper(verb))
		if _, known := wellBehaved[step]; !known {
			Reply("500 5.5.1 unknown command")(session)
			continue
		}
		s.at(step, session)
		if step == Data && session.goesAhead && !session.closed {
			s.takeMessage(session)
		}
	}
}

// takeMessage hears a message up to its final dot.
func (s *ScriptServer) takeMessage(session *Session) {
	for first := true; !session.closed; first = false {
		line, err := s.hear(session)
		switch {
		case err != nil:
			session.close()
		case line == ".":
			s.at(FinalDot, session)
			return
		case first:
			s.at(Content, session)
		}
	}
}

func (s *ScriptServer) hear(session *Session) (string, error) {
	line, err := session.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	s.mu.Lock()
	s.heard = append(s.heard, line)
	s.mu.Unlock()
	return line, nil
}

func (s *ScriptServer) at(step Step, session *Session) {
	act, ok := s.script[step]
	if !ok {
		act = wellBehaved[step]
	}
	act(session)
}
