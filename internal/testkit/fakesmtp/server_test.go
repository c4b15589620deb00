// SPDX-License-Identifier: Apache-2.0

package fakesmtp_test

import (
	"context"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

const content = "Subject: a\r\n\r\n.b\r\n"

func send(t *testing.T, host string, port int) error {
	t.Helper()
	address := net.JoinHostPort(host, strconv.Itoa(port))
	return smtp.SendMail(address, nil, "tocsin@example.com", []string{"soc@example.com"}, []byte(content))
}

func TestServerKeepsWhatItIsSent(t *testing.T) {
	t.Parallel()
	server := fakesmtp.Start(t, fakesmtp.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() {
		_, err := server.WaitFor(t.Context(), 2)
		waited <- err
	}()
	for range 2 {
		if err := send(t, server.Host(), server.Port()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	for _, message := range server.Messages() {
		if message.From != "tocsin@example.com" || message.To[0] != "soc@example.com" || string(message.Data) != content {
			t.Errorf("kept %+v", message)
		}
	}
	cancel()
	if messages, err := server.WaitFor(ctx, 3); len(messages) != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a third: %d messages, %v", len(messages), err)
	}
}

func TestScriptServerDoesWhatItsScriptSays(t *testing.T) {
	t.Parallel()
	server := fakesmtp.StartScript(t, fakesmtp.Script{
		fakesmtp.Mail: fakesmtp.InTurn(fakesmtp.Reply("451 4.7.1 later"), fakesmtp.Reply("250 2.1.0 ok")),
	})
	var said *textproto.Error
	if err := send(t, server.Host(), server.Port()); !errors.As(err, &said) || said.Code != 451 {
		t.Errorf("the first time: %v", err)
	}
	if err := send(t, server.Host(), server.Port()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	server.WaitClosed()
	if heard := strings.Join(server.Heard(), "\n"); server.Connections() != 2 || !strings.Contains(heard, "\n..b\n.\nQUIT") {
		t.Errorf("%d connections, heard\n%s", server.Connections(), heard)
	}
}
