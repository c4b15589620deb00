// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxAddress is the API's limit for an address with its display name, in characters.
	maxAddress = 320
	// maxPath is the length of an address in its angle brackets, in bytes (RFC 5321, 4.5.3.1.3).
	maxPath = 256
)

// mailbox is an address that is fit for the envelope and for the header: its domain is in A-labels, and neither part can
// end the line or the address.
type mailbox struct {
	name, address string
}

// parseMailbox reads an address, bare or with a display name. The name need not be quoted, whatever it holds.
func parseMailbox(text string) (mailbox, error) {
	switch {
	case !utf8.ValidString(text):
		return mailbox{}, errors.New("not an address: it is not UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return mailbox{}, errors.New("not an address: it holds control characters")
	case utf8.RuneCountInString(text) > maxAddress:
		return mailbox{}, fmt.Errorf("not an address: it is longer than %d characters", maxAddress)
	}
	name, address := splitName(strings.TrimSpace(text))
	switch {
	case strings.ContainsFunc(address, unicode.IsSpace):
		return mailbox{}, errors.New("not an address: it holds spaces")
	case !isQuoted(name) && strings.ContainsAny(name, "<>"):
		return mailbox{}, errors.New("not an address: it is more than one")
	}
	parsed, err := mail.ParseAddress("<" + address + ">")
	if err != nil {
		return mailbox{}, fmt.Errorf("not an address: %s", strings.TrimPrefix(err.Error(), "mail: "))
	}
	at := strings.LastIndexByte(parsed.Address, '@')
	domain, err := asciiDomain(parsed.Address[at+1:])
	if err != nil {
		return mailbox{}, fmt.Errorf("not an address: the domain is not valid: %s", strings.TrimPrefix(err.Error(), "idna: "))
	}
	box := mailbox{name: tidyName(name), address: parsed.Address[:at+1] + domain}
	if len(box.path()) > maxPath {
		return mailbox{}, fmt.Errorf("not an address: it is longer than %d bytes", maxPath)
	}
	return box, nil
}

// splitName takes an address apart into its display name and what is between the angle brackets.
func splitName(text string) (name, address string) {
	inner, ok := strings.CutSuffix(text, ">")
	i := strings.LastIndexByte(inner, '<')
	if !ok || i < 0 {
		return "", text
	}
	return strings.TrimSpace(inner[:i]), inner[i+1:]
}

func isQuoted(name string) bool {
	return len(name) >= 2 && name[0] == '"' && name[len(name)-1] == '"'
}

// tidyName takes a display name out of its quotes. Of spaces side by side it leaves one: more could become a line of
// nothing but spaces when the header is folded (RFC 5322, 4.2). Backslashes go: they only quote, and net/mail leaves them
// as they are in encoded words, where they may not stand (RFC 2047, 5).
func tidyName(name string) string {
	if isQuoted(name) {
		name = name[1 : len(name)-1]
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(name, `\`, "")), " ")
}

// path is the address as MAIL and RCPT take it: in angle brackets, its local part quoted where that is needed.
func (b mailbox) path() string { return (&mail.Address{Address: b.address}).String() }

// header is the address as From and To take it.
func (b mailbox) header() *mail.Address { return &mail.Address{Name: b.name, Address: b.address} }

// needsSMTPUTF8 says whether only a server with that extension knows what to do with the address (RFC 6531, 3.2).
func (b mailbox) needsSMTPUTF8() bool { return !isASCII(b.address) }
