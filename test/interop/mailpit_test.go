// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
)

// mailpit keeps what it takes in an inbox, and fails on demand.
type mailpit struct {
	*program
	smtp, http int
}

func startMailpit() ([]*program, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(peers.dir, "mailpit")
	if err := write(dir, map[string]string{"logins": username + ":" + password + "\n"}); err != nil {
		return nil, err
	}
	m := &mailpit{smtp: ports[0], http: ports[1]}
	m.program, err = start("Mailpit", dir+"/log", "mailpit", "--smtp", address(m.smtp), "--listen", address(m.http),
		"--smtp-tls-cert", "../tls/server.crt", "--smtp-tls-key", "../tls/server.key", "--smtp-require-starttls",
		"--smtp-auth-file", "logins", "--enable-chaos", "--database", "mail.db", "--disable-version-check", "--smtp-disable-rdns")
	if err != nil {
		return nil, err
	}
	peers.mailpit = m
	return []*program{m.program}, m.await(m.smtp, m.http)
}

// chaos makes the server answer a command with a code, every time; none where the command is empty.
func (m *mailpit) chaos(t testing.TB, command string, code int) {
	t.Helper()
	triggers := map[string]map[string]int{}
	if command != "" {
		triggers[command] = map[string]int{"ErrorCode": code, "Probability": 100}
	}
	m.ask(t, http.MethodPut, "/api/v1/chaos", triggers, nil)
}

// mailpitMessage is what Mailpit made of a mail.
type mailpitMessage struct {
	ID         string
	MessageID  string
	Subject    string
	Text       string
	HTML       string
	From       mailpitAddress
	To         []mailpitAddress
	ReturnPath string
}

type mailpitAddress struct{ Name, Address string }

// arrived waits for the mail with that Message-ID.
func (m *mailpit) arrived(t testing.TB, id string) mailpitMessage {
	t.Helper()
	var found struct {
		Messages []struct{ ID string } `json:"messages"`
	}
	eventually(t, "the mail "+id+" in the inbox", func() bool {
		m.ask(t, http.MethodGet, "/api/v1/search?query="+url.QueryEscape("message-id:"+id), nil, &found)
		return len(found.Messages) > 0
	})
	var message mailpitMessage
	m.ask(t, http.MethodGet, "/api/v1/message/"+found.Messages[0].ID, nil, &message)
	return message
}

func (m *mailpit) ask(t testing.TB, method, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://%s%s", address(m.http), path), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v: %s", method, path, response.Status, err, answer)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}
