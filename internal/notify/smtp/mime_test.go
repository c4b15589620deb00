// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// parsed is a message as a mail program sees it.
type parsed struct {
	header     mail.Header
	text, html string
}

func parse(t testing.TB, data []byte) parsed {
	t.Helper()
	message, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("reading the message: %v\n%s", err, data)
	}
	p := parsed{header: message.Header}
	p.read(t, message.Header.Get("Content-Type"), message.Header.Get("Content-Transfer-Encoding"), message.Body)
	return p
}

func (p *parsed) read(t testing.TB, contentType, encoding string, body io.Reader) {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("content type %q: %v", contentType, err)
	}
	if kind == "multipart/alternative" {
		parts := multipart.NewReader(body, parameters["boundary"])
		for {
			part, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("reading a part: %v", err)
			}
			p.read(t, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
		}
	}
	if encoding != "quoted-printable" || parameters["charset"] != "UTF-8" {
		t.Errorf("%s is %q in %q", kind, encoding, parameters["charset"])
	}
	decoded, err := io.ReadAll(quotedprintable.NewReader(body))
	if err != nil {
		t.Fatalf("decoding %s: %v", kind, err)
	}
	switch kind {
	case "text/plain":
		p.text = string(decoded)
	case "text/html":
		p.html = string(decoded)
	default:
		t.Errorf("unexpected part %q", kind)
	}
}

// deliver sends to a server that has those extensions, and returns what went over the wire.
func deliver(t testing.TB, m notify.Message, extensions ...string) (notify.Result, wire) {
	t.Helper()
	lines := []string{"250-fake.example"}
	for _, extension := range extensions {
		lines = append(lines, "250-"+extension)
	}
	server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Reply(append(lines, "250 8BITMIME")...)})
	said := &tape{}
	sender := newSender(t, smtp.Config{Servers: []string{"mail.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSNone}, Dial: said.record(server.Dial)})
	result := send(t, sender, m)
	server.WaitClosed()
	return result, readWire(t, said.said.String())
}

// wire is what a client said: its commands, and the message as it stands between DATA and the final dot.
type wire struct {
	commands []string
	data     string
}

func readWire(t testing.TB, said string) wire {
	t.Helper()
	before, rest, sent := strings.Cut(said, "DATA\r\n")
	w := wire{commands: strings.Split(strings.TrimSuffix(before, "\r\n"), "\r\n")}
	if !sent {
		return w
	}
	data, after, ended := strings.Cut(rest, "\r\n.\r\n")
	if !ended || after != "QUIT\r\n" {
		t.Fatalf("after the final dot came %q", after)
	}
	w.data = data + "\r\n"
	return w
}

// content is the message without its dot-stuffing (RFC 5321, 4.5.2).
func (w wire) content() []byte {
	return []byte(strings.TrimPrefix(strings.ReplaceAll("\r\n"+w.data, "\r\n.", "\r\n"), "\r\n"))
}

func TestWhatAMessageLooksLike(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := alert("SOC, night shift <soc@example.com>", `"Köln \"2\"" <bereitschaft@köln.example>`)
		m.Subject = "Ausbruch auf wörk-1"
		m.Text = "Fünf Rechner."
		m.HTML = "<p>Fünf Rechner.</p>"
		_, wire := deliver(t, m)
		got := parse(t, wire.content())
		for name, want := range map[string]string{
			"Message-Id":     "<6d1f.77@example.com>",
			"Date":           "Fri, 31 Jul 2026 12:30:00 +0000",
			"From":           `"Tocsin" <tocsin@example.com>`,
			"Auto-Submitted": "auto-generated",
			"Mime-Version":   "1.0",
			"X-Mailer":       "",
			"User-Agent":     "",
			"Bcc":            "",
		} {
			if value := got.header.Get(name); value != want {
				t.Errorf("%s is %q, want %q", name, value, want)
			}
		}
		if subject, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject")); err != nil || subject != m.Subject {
			t.Errorf("subject is %q, %v", subject, err)
		}
		to, err := got.header.AddressList("To")
		if err != nil {
			t.Fatal(err)
		}
		want := []mail.Address{
			{Name: "SOC, night shift", Address: "soc@example.com"},
			{Name: `Köln "2"`, Address: "bereitschaft@xn--kln-sna.example"},
		}
		for i := range want {
			if *to[i] != want[i] {
				t.Errorf("recipient %d is %+v, want %+v", i, *to[i], want[i])
			}
		}
		if got.text != m.Text || got.html != m.HTML {
			t.Errorf("text is %q, HTML %q", got.text, got.html)
		}
	})
}

func TestEitherFormAloneIsNoMultipart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, html, want string }{
		"text":    {"hello\r\n", "", "text/plain"},
		"HTML":    {"", "<p>hello</p>\r\n", "text/html"},
		"nothing": {"", "", "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := alert()
				m.Text, m.HTML = tc.text, tc.html
				_, wire := deliver(t, m)
				got := parse(t, wire.content())
				if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, tc.want) {
					t.Errorf("content type is %q", kind)
				}
				if got.text != tc.text || got.html != tc.html {
					t.Errorf("text is %q, HTML %q", got.text, got.html)
				}
			})
		})
	}
}

func TestASubjectSaysWhatItSaysAndNothingElse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ subject, want string }{
		"line breaks begin no header":               {"a\r\nBcc: eve@example.com", "a  Bcc: eve@example.com"},
		"control characters are no part of it":      {"a\x00b\x1b[31mc\x7f", "a b [31mc"},
		"what looks encoded is not decoded":         {"=?utf-8?q?a=0D=0ABcc:_eve?=", "=?utf-8?q?a=0D=0ABcc:_eve?="},
		"many spaces make no empty line":            {"a" + strings.Repeat(" ", 200) + "b", "a" + strings.Repeat(" ", 200) + "b"},
		"a word without end is broken up":           {strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		"characters are not broken up":              {strings.Repeat("ä€😀", 100), strings.Repeat("ä€😀", 100)},
		"bytes that are no UTF-8 are replaced":      {"caf\xe9", "caf\uFFFD"},
		"a plain one can be read as it is":          {"Outbreak on web-1", "Outbreak on web-1"},
		"none at all is none":                       {"", ""},
		"a long plain one is folded between words":  {strings.Repeat("word ", 60) + "end", strings.Repeat("word ", 60) + "end"},
		"other line separators begin no new header": {"a\u2028Bcc: eve@example.com\u0085", "a\u2028Bcc: eve@example.com"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := alert()
				m.Subject = tc.subject
				_, wire := deliver(t, m)
				checkWire(t, m, wire)
				got := parse(t, wire.content()).header.Get("Subject")
				if subject, err := new(mime.WordDecoder).DecodeHeader(got); err != nil || subject != tc.want {
					t.Errorf("subject is %q, %v, want %q", subject, err, tc.want)
				}
			})
		})
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"no @":                         "soc",
		"nothing before the @":         "@example.com",
		"nothing after the @":          "soc@",
		"two":                          "a@example.com,b@example.com",
		"two with names":               "A <a@example.com>, B <b@example.com>",
		"a line break":                 "soc@example.com\r\nRCPT TO:<eve@example.com>",
		"a line break in the name":     "SOC\r\nBcc: eve@example.com <soc@example.com>",
		"a NUL":                        "soc\x00@example.com",
		"a parameter":                  "soc@example.com> SMTPUTF8",
		"a parameter in angle":         "<soc@example.com> NOTIFY=NEVER>",
		"spaces":                       "so c@example.com",
		"bytes that are no UTF-8":      "s\xf6c@example.com",
		"a domain that cannot be":      "soc@kö..example",
		"longer than the API allows":   strings.Repeat("n", 400) + " <soc@example.com>",
		"longer than the wire allows":  strings.Repeat("l", 250) + "@example.com",
		"longer as the wire writes it": "soc@" + strings.Repeat("ö", 200) + ".example",
		"empty":                        "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				result, wire := deliver(t, alert("ops@example.com", address))
				checkReason(t, result, notify.ReasonPartlyRefused)
				if got := states(result); !slices.Equal(got, []string{"Accepted 250 2.0.0", "Refused 5.1.3"}) {
					t.Errorf("recipients are %q", got)
				}
				if strings.Contains(wire.data, "eve@") {
					t.Errorf("the header was forged:\n%s", wire.data)
				}
				want := []string{"EHLO client.example", "MAIL FROM:<tocsin@example.com>", "RCPT TO:<ops@example.com>"}
				if !slices.Equal(wire.commands, want) {
					t.Errorf("commands are %q", wire.commands)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				m := alert()
				m.From = address
				result, wire := deliver(t, m)
				checkReason(t, result, notify.ReasonInvalidMessage)
				if wire.commands[0] != "" {
					t.Errorf("a server was asked: %q", wire.commands)
				}
			})
		})
	}
}

func TestAddressesThatAreUnusual(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ given, want string }{
		"a quoted local part":              {`"a(b"@example.com`, `<"a(b"@example.com>`},
		"an address literal":               {"soc@[192.0.2.1]", "<soc@[192.0.2.1]>"},
		"a name with brackets and colons":  {"SOC [night]: Köln <soc@example.com>", "<soc@example.com>"},
		"an @ in the name":                 {"soc@home <soc@example.com>", "<soc@example.com>"},
		"a domain with an underscore":      {"soc@mail_relay", "<soc@mail_relay>"},
		"angle brackets without a name":    {"<soc@example.com>", "<soc@example.com>"},
		"an international domain in caps":  {"soc@KÖLN.example", "<soc@xn--kln-sna.example>"},
		"an apostrophe and a plus":         {"o'neill+soc@example.com", "<o'neill+soc@example.com>"},
		"many spaces in the name":          {"S" + strings.Repeat(" ", 200) + "OC <soc@example.com>", "<soc@example.com>"},
		"a name of nothing but quotes":     {`"" <soc@example.com>`, "<soc@example.com>"},
		"a name that looks like a comment": {"(SOC) <soc@example.com>", "<soc@example.com>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := alert(tc.given)
				result, wire := deliver(t, m)
				checkReason(t, result, notify.ReasonAccepted)
				checkWire(t, m, wire)
				if got := wire.commands[len(wire.commands)-1]; got != "RCPT TO:"+tc.want {
					t.Errorf("said %q", got)
				}
			})
		})
	}
}

func TestMessagesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*notify.Message){
		"no recipients":                     func(m *notify.Message) { m.To = nil },
		"no sender":                         func(m *notify.Message) { m.From = "" },
		"no date":                           func(m *notify.Message) { m.Date = time.Time{} },
		"no Message-ID":                     func(m *notify.Message) { m.ID = "" },
		"a Message-ID in its brackets":      func(m *notify.Message) { m.ID = "<a@b>" },
		"a Message-ID that begins a header": func(m *notify.Message) { m.ID = "a@b>\r\nBcc: <eve@example.com" },
		"an answer to no Message-ID":        func(m *notify.Message) { m.InReplyTo = "a" },
		"an answer that begins a header":    func(m *notify.Message) { m.InReplyTo = "a@b>\r\nBcc: <eve@example.com" },
		"a reference to no Message-ID":      func(m *notify.Message) { m.References = []string{"a@b", ""} },
		"a reference to two at once":        func(m *notify.Message) { m.References = []string{"a@b> <c@d"} },
		"more references than a header has": func(m *notify.Message) { m.References = slices.Repeat([]string{"a@b"}, 51) },
		"a Message-ID longer than a line":   func(m *notify.Message) { m.ID = strings.Repeat("a", 1000) + "@b" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := alert()
				change(&m)
				result, wire := deliver(t, m)
				checkReason(t, result, notify.ReasonInvalidMessage)
				if wire.commands[0] != "" {
					t.Errorf("a server was asked: %q", wire.commands)
				}
			})
		})
	}
}

func TestAMessageNamesTheThreadThatItBelongsTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := alert()
		m.InReplyTo = "second@example.com"
		for i := range 50 {
			m.References = append(m.References, strings.Repeat("r", 6*i+1)+"@example.com")
		}
		result, wire := deliver(t, m)
		checkReason(t, result, notify.ReasonAccepted)
		checkWire(t, m, wire)
		header := parse(t, wire.content()).header
		if got := header.Get("In-Reply-To"); got != "<second@example.com>" {
			t.Errorf("In-Reply-To is %q", got)
		}
		if got, want := header.Get("References"), "<"+strings.Join(m.References, "> <")+">"; got != want {
			t.Errorf("References is %q, want %q", got, want)
		}
	})
}

func TestLocalPartsThatAreNotASCII(t *testing.T) {
	t.Parallel()
	t.Run("a server with SMTPUTF8 is asked for it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			result, wire := deliver(t, alert("söc@köln.example", "ops@example.com"), "SMTPUTF8")
			checkReason(t, result, notify.ReasonAccepted)
			want := []string{
				"EHLO client.example", "MAIL FROM:<tocsin@example.com> BODY=8BITMIME SMTPUTF8",
				"RCPT TO:<söc@xn--kln-sna.example>", "RCPT TO:<ops@example.com>",
			}
			if !slices.Equal(wire.commands, want) {
				t.Errorf("commands are %q", wire.commands)
			}
			if !strings.Contains(wire.data, "To: <söc@xn--kln-sna.example>, <ops@example.com>\r\n") {
				t.Errorf("header is\n%s", wire.data)
			}
		})
	})
	t.Run("a server with SMTPUTF8 is not asked for what is not needed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			_, wire := deliver(t, alert("soc@köln.example"), "SMTPUTF8")
			if !slices.Contains(wire.commands, "MAIL FROM:<tocsin@example.com>") {
				t.Errorf("commands are %q", wire.commands)
			}
		})
	})
	t.Run("a server without it never hears of that recipient", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			result, wire := deliver(t, alert("söc@example.com", "ops@example.com"))
			checkReason(t, result, notify.ReasonPartlyRefused)
			if got := states(result); !slices.Equal(got, []string{"Refused 5.6.7", "Accepted 250 2.0.0"}) {
				t.Errorf("recipients are %q", got)
			}
			if !utf8ASCII(strings.Join(wire.commands, "")+wire.data) || strings.Contains(wire.data, "s=C3=B6c") {
				t.Errorf("said\n%s\n%s", wire.commands, wire.data)
			}
		})
	})
	t.Run("a server without it never hears of that sender", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := alert()
			m.From = "töcsin@example.com"
			result, wire := deliver(t, m)
			checkReason(t, result, notify.ReasonSenderRefused)
			if got := states(result); !slices.Equal(got, []string{"Refused 5.6.7"}) {
				t.Errorf("recipients are %q", got)
			}
			if want := []string{"EHLO client.example", "QUIT"}; !slices.Equal(wire.commands, want) {
				t.Errorf("commands are %q", wire.commands)
			}
		})
	})
}

func utf8ASCII(s string) bool { return utf8.RuneCountInString(s) == len(s) && utf8.ValidString(s) }

// checkWire checks what holds for all messages, whatever is in them.
func checkWire(t testing.TB, m notify.Message, w wire) {
	t.Helper()
	if !utf8ASCII(w.data) {
		t.Errorf("not 7-bit:\n%q", w.data)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(w.data, "\r\n"), "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("a line ends with something else than CRLF: %q", line)
		}
		if len(line) > 998 { // RFC 5322, 2.1.1
			t.Errorf("a line is %d characters long: %q", len(line), line)
		}
	}
	header, _, _ := strings.Cut(string(w.content()), "\r\n\r\n")
	for line := range strings.SplitSeq(header, "\r\n") {
		if strings.TrimSpace(line) == "" {
			t.Errorf("the header has a line that looks like its end:\n%q", header)
		}
	}
	want := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	if m.Text == "" || m.HTML == "" {
		want = append(want, "Content-Transfer-Encoding")
	}
	if m.InReplyTo != "" {
		want = append(want, "In-Reply-To")
	}
	if len(m.References) > 0 {
		want = append(want, "References")
	}
	slices.Sort(want)
	var got []string
	for name, values := range parse(t, w.content()).header {
		for range values {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the header has %q, want %q", got, want)
	}
}
