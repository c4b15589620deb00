// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

// codeClosing is the reply of a server that closes the connection, whatever the command was (RFC 5321, 3.8).
const codeClosing = 421

// codeLoginWanted is the reply of a server that wants a login (RFC 4954, 6) or encryption (RFC 3207, 4) before it goes on,
// whatever the command was.
const codeLoginWanted = 530

// reply is what was said to a command, fit for a Result: bounded, printable and without secrets. The code is 0 where we
// gave the answer ourselves.
type reply struct {
	code     int
	enhanced string
	text     string
	// state is what it means for the recipient or recipients it goes for; empty where it means nothing to them.
	state notify.RecipientState
}

// enhancedCode is the status code at the beginning of a reply's lines (RFC 2034, 4; RFC 3463, 2).
var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}(\s|$)`)

func newReply(code int, text string, secrets *strings.Replacer) reply {
	text = secrets.Replace(text)
	enhanced := strings.TrimSpace(enhancedCode.FindString(text))
	if enhanced != "" {
		text = strings.ReplaceAll(strings.TrimPrefix(text, enhanced), "\n"+enhanced, "\n")
	}
	return reply{code: code, enhanced: enhanced, text: notify.Bound(text, notify.MaxResponse), state: stateOf(code)}
}

// stateOf reads the first digit of a code (RFC 5321, 4.2.1).
func stateOf(code int) notify.RecipientState {
	switch code / 100 {
	case 2:
		return notify.Accepted
	case 4:
		return notify.Deferred
	case 5:
		return notify.Refused
	default:
		return ""
	}
}

func (r reply) String() string {
	var parts []string
	if r.code != 0 {
		parts = append(parts, strconv.Itoa(r.code))
	}
	if r.enhanced != "" {
		parts = append(parts, r.enhanced)
	}
	return strings.Join(append(parts, r.text), " ")
}

const mask = "***"

// secretsOf masks the password in all forms in which a server could echo it: as it is, with the username, both in the
// base64 of AUTH (RFC 4954), and as Go's error messages quote it.
func secretsOf(login *Login) *strings.Replacer {
	if login == nil {
		return strings.NewReplacer()
	}
	pair := login.Username + ":" + login.Password
	plain := "\x00" + login.Username + "\x00" + login.Password
	bearer := "Bearer " + login.Password
	token := "user=" + login.Username + "\x01auth=" + bearer + "\x01\x01"
	var pairs []string
	// The replacer takes the first that fits: what another may begin with comes after it.
	for _, secret := range []string{plain, token, pair, bearer, login.Password} {
		quoted := strconv.Quote(secret)
		// Without the padding, which tells nothing and which an echo may lack.
		encoded := base64.RawStdEncoding.EncodeToString([]byte(secret))
		pairs = append(pairs, secret, mask, quoted[1:len(quoted)-1], mask, encoded, mask)
	}
	return strings.NewReplacer(pairs...)
}

// queueIDs find the id in what servers say when they take a message. No standard says how they do.
var queueIDs = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bqueued as:? <?([!-;=?-~]+)`),            // Postfix, Haraka, Mailpit, Halon
	regexp.MustCompile(`(?i)\bid=([!-;=?-~]+)`),                       // Exim
	regexp.MustCompile(`(?i)\bInternalId=(\d+)`),                      // Exchange
	regexp.MustCompile(`^([!-;=?-~]+) Message accepted for delivery`), // Sendmail, OpenSMTPD
	regexp.MustCompile(`(?i)^OK:? +\d+ ([!-;=?-~]+) - gsmtp$`),        // Gmail
	regexp.MustCompile(`(?i)\b(qp \d+)$`),                             // qmail
	regexp.MustCompile(`(?i)^OK:? <?([!-;=?-~]*\d[!-;=?-~]*)>?$`),     // Amazon SES and others that say nothing else
}

// queueID is under which id a server took a message; empty if it told none. The text is a reply's, so it is printable.
func queueID(text string) string {
	for _, form := range queueIDs {
		if found := form.FindStringSubmatch(text); found != nil {
			return notify.Bound(strings.Trim(found[1], "[],;."), notify.MaxQueueID)
		}
	}
	return ""
}
