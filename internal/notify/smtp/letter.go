// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

// letter is a message with its addresses understood, which is the same for all servers.
type letter struct {
	notify.Message
	sender     mailbox
	recipients []recipient
}

// recipient is one of Message.To.
type recipient struct {
	given string
	mailbox
	// problem is why nobody can be told at this address.
	problem error
}

// newLetter refuses what cannot be sent at all. One bad recipient is no reason: the others still get theirs.
func newLetter(m notify.Message) (*letter, error) {
	switch {
	case !messageID.MatchString(m.ID):
		return nil, errors.New("the Message-ID is not valid: it must be two parts of printable ASCII with an @ between them")
	case m.InReplyTo != "" && !messageID.MatchString(m.InReplyTo), slices.ContainsFunc(m.References, isNoMessageID):
		return nil, errors.New("the message refers to another one by something that is not a valid Message-ID")
	case len(m.References) > maxReferences:
		return nil, fmt.Errorf("the message refers to more than %d others", maxReferences)
	case m.Date.IsZero():
		return nil, errors.New("the message has no date")
	case len(m.To) == 0:
		return nil, errors.New("the message has no recipients")
	}
	sender, err := parseMailbox(m.From)
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	l := &letter{Message: m, sender: sender}
	for _, given := range m.To {
		if slices.ContainsFunc(l.recipients, func(r recipient) bool { return r.given == given }) {
			continue
		}
		box, err := parseMailbox(given)
		l.recipients = append(l.recipients, recipient{given: given, mailbox: box, problem: err})
	}
	return l, nil
}

// messageID is what may stand between the angle brackets (RFC 5322, 3.6.4, without its quoted and obsolete forms), short
// enough for one line.
var messageID = regexp.MustCompile("^" + dotAtom + "@" + dotAtom + "$")

const dotAtom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,320}"

func isNoMessageID(id string) bool { return !messageID.MatchString(id) }

// maxReferences keeps the header of a message to a size that servers take.
const maxReferences = 50

// needsSMTPUTF8 says whether an address of the envelope needs that extension.
func (l *letter) needsSMTPUTF8() bool {
	return l.sender.needsSMTPUTF8() || slices.ContainsFunc(l.recipients, func(r recipient) bool {
		return r.problem == nil && r.needsSMTPUTF8()
	})
}

// render writes the message out. All of it is 7-bit, save for addresses that need SMTPUTF8, which stand in it only if the
// server has that extension.
func (l *letter) render(smtpUTF8 bool) ([]byte, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithEncoding(mail.EncodingQP), mail.WithCharset(mail.CharsetUTF8))
	msg.SetMessageIDWithValue(l.ID)
	msg.SetDateWithValue(l.Date)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834, 5: keeps holiday answers from coming back
	if l.InReplyTo != "" {
		msg.SetGenHeader(mail.HeaderInReplyTo, "<"+l.InReplyTo+">")
	}
	if len(l.References) > 0 {
		msg.SetGenHeader(mail.HeaderReferences, "<"+strings.Join(l.References, "> <")+">")
	}
	msg.FromMailAddress(l.sender.header())
	for _, r := range l.recipients {
		if r.problem == nil && (smtpUTF8 || !r.needsSMTPUTF8()) {
			msg.AddToMailAddress(r.header())
		}
	}
	msg.Subject(encodeSubject(l.Subject))
	if l.Text != "" || l.HTML == "" {
		msg.SetBodyString(mail.TypeTextPlain, cleanText(l.Text))
	}
	if l.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, cleanText(l.HTML))
	}
	var out bytes.Buffer
	if _, err := msg.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("writing the message: %w", err)
	}
	return out.Bytes(), nil
}

const (
	// maxWord is the length of a word in the header that is not encoded.
	maxWord = 60
	// maxEncoded is how many bytes go into one encoded word, which has 75 characters at most (RFC 2047, 2).
	maxEncoded = 45
)

// encodeSubject keeps a subject to one line that says what it says: control characters become spaces, and what a mail
// program would decode, fold wrongly or not understand is written in encoded words.
func encodeSubject(subject string) string {
	subject = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, subject))
	if isPlainSubject(subject) {
		return subject
	}
	var words []string
	for subject != "" {
		end := min(len(subject), maxEncoded)
		for end < len(subject) && !utf8.RuneStart(subject[end]) {
			end--
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(subject[:end]))+"?=")
		subject = subject[end:]
	}
	return strings.Join(words, " ")
}

func isPlainSubject(subject string) bool {
	if !isASCII(subject) || strings.Contains(subject, "=?") {
		return false
	}
	for word := range strings.SplitSeq(subject, " ") {
		if len(word) > maxWord || word == "" && subject != "" {
			return false
		}
	}
	return true
}

// cleanText takes what no reader of a text should meet out of it: control characters, and bytes that are no UTF-8. Lines
// end with LF, of which the encoder makes CRLF; it would lose some that follow a lone CR.
func cleanText(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, lineEnds.Replace(text))
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")
