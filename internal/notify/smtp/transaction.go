// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"fmt"
	"io"
	"slices"
	"strings"

	mailsmtp "github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

// needsSMTPUTF8 is what a server without that extension could only say itself (RFC 6531, 3.5).
var needsSMTPUTF8 = reply{
	enhanced: "5.6.7",
	text:     "the server does not take addresses with other than ASCII characters before the @",
	state:    notify.Refused,
}

func badAddress(problem error) reply {
	return reply{enhanced: "5.1.3", text: notify.Bound(problem.Error(), notify.MaxResponse), state: notify.Refused}
}

// transaction is one letter being handed over.
type transaction struct {
	*conversation
	letter *letter
	// smtpUTF8: the server has that extension.
	smtpUTF8 bool
	// answers are what was said so far for each of the letter's recipients; nil where the server agreed.
	answers []*reply
	// loginWanted is what the server said to a recipient whom it would take from those who have logged in.
	loginWanted *failure
}

// transact hands the letter over. The Result is the server's verdict; a failure is why there was none.
func (c *conversation) transact(l *letter) (notify.Result, *failure) {
	c.messages++
	_, smtpUTF8 := c.offers("SMTPUTF8")
	t := &transaction{conversation: c, letter: l, smtpUTF8: smtpUTF8, answers: make([]*reply, len(l.recipients))}
	if l.sender.needsSMTPUTF8() && !smtpUTF8 {
		return t.refused(notify.ReasonSenderRefused, &needsSMTPUTF8), nil
	}
	no, failed := c.ask(stepSender, t.mailFrom)
	if failed != nil {
		return notify.Result{}, failed
	}
	if no != nil {
		return t.refused(notify.ReasonSenderRefused, no), nil
	}
	if failed := t.askForRecipients(); failed != nil {
		return notify.Result{}, failed
	}
	if !slices.Contains(t.answers, nil) {
		if t.loginWanted != nil {
			return notify.Result{}, t.loginWanted
		}
		return t.settled(reply{}), nil
	}
	return t.handOver()
}

// mailFrom asks for no extension that this letter does not need. A letter that is all 7-bit can do without 8BITMIME and
// SMTPUTF8, which some servers offer and then refuse, or cannot pass on.
func (t *transaction) mailFrom() error {
	line := "MAIL FROM:" + t.letter.sender.path()
	if t.smtpUTF8 && t.letter.needsSMTPUTF8() {
		line += " BODY=8BITMIME SMTPUTF8"
	}
	return t.say(250, line)
}

// askForRecipients asks for one after the other, whatever the answers.
func (t *transaction) askForRecipients() (failed *failure) {
	for i, r := range t.letter.recipients {
		switch {
		case r.problem != nil:
			no := badAddress(r.problem)
			t.answers[i] = &no
			continue
		case r.needsSMTPUTF8() && !t.smtpUTF8:
			t.answers[i] = &needsSMTPUTF8
			continue
		}
		t.answers[i], failed = t.ask(stepRecipient, func() error { return t.client.Rcpt(r.path()) })
		switch {
		case failed != nil && t.answers[i] != nil:
			t.loginWanted = failed
		case failed != nil:
			return failed
		}
	}
	return nil
}

// handOver sends the message itself, for those recipients whom the server would take.
func (t *transaction) handOver() (notify.Result, *failure) {
	content, err := t.sender.render(t.letter, t.smtpUTF8)
	if err != nil {
		return result(notify.ReasonInvalidMessage, err.Error()), nil
	}
	var body io.WriteCloser
	no, failed := t.ask(stepData, func() (err error) {
		body, err = t.client.Data()
		return err
	})
	if failed != nil {
		return notify.Result{}, failed
	}
	if no != nil {
		return t.refused(notify.ReasonMessageRefused, no), nil
	}
	if err := t.send(body, content); err != nil {
		return t.notTaken(err)
	}
	final := t.finalReply(body)
	verdict := t.settled(final)
	verdict.QueueID = queueID(final.text)
	return verdict, nil
}

// send writes the message with its final dot, and hears what the server says to it.
func (t *transaction) send(body io.WriteCloser, content []byte) error {
	t.conn.nextStep()
	_, _ = body.Write(content) // the connection knows, and the server may have said why
	if t.conn.sendErr == nil {
		t.conn.nextStep()
	}
	if err := body.Close(); err != nil {
		return err
	}
	return t.conn.sendErr
}

// notTaken tells what it means that the server did not say yes to the message.
func (t *transaction) notTaken(err error) (notify.Result, *failure) {
	no := t.verdict(err)
	if no != nil && no.code != codeLoginWanted {
		return t.refused(notify.ReasonMessageRefused, no), nil
	}
	failed := t.failed(stepContent, err)
	if no != nil || failed.reason == notify.ReasonServerUnavailable || t.conn.sendErr != nil {
		return notify.Result{}, failed
	}
	// The final dot has left, so the server may have taken the message (RFC 1047). To ask another now would make twins.
	return t.result(notify.ReasonUnknown, reply{state: notify.Deferred}, "handed over, but the answer was lost: "+failed.cause), nil
}

// finalReply is what the server said when it took the message.
func (t *transaction) finalReply(body io.WriteCloser) reply {
	text := ""
	if closed, ok := body.(*mailsmtp.DataCloser); ok {
		text = closed.ServerResponse()
	}
	return newReply(250, text, t.sender.secrets)
}

// refused is the verdict when the server refuses or defers all at once. A refusal goes for all recipients, save for those
// whom it refused before, with an answer of their own.
func (t *transaction) refused(reason notify.Reason, no *reply) notify.Result {
	if no.state == notify.Deferred {
		return t.result(notify.ReasonDeferred, *no, no.String())
	}
	for i, answer := range t.answers {
		if answer != nil && answer.state == notify.Deferred {
			t.answers[i] = nil
		}
	}
	return t.result(reason, *no, no.String())
}

// settled is the verdict when each recipient has its own; the final reply goes for those who are accepted.
func (t *transaction) settled(final reply) notify.Result {
	var accepted, deferred int
	var others []string
	for i, no := range t.answers {
		switch {
		case no == nil:
			accepted++
			continue
		case no.state == notify.Deferred:
			deferred++
		}
		others = append(others, t.letter.recipients[i].given+": "+no.String())
	}
	if len(others) == 0 {
		return t.result(notify.ReasonAccepted, final, final.String())
	}
	message := fmt.Sprintf("accepted for %d of %d; %s", accepted, len(t.answers), strings.Join(others, separator))
	return t.result(outcome(accepted, deferred), final, message)
}

// outcome is the reason when some recipients are not accepted.
func outcome(accepted, deferred int) notify.Reason {
	switch {
	case accepted > 0 && deferred > 0:
		return notify.ReasonPartlyDeferred
	case accepted > 0:
		return notify.ReasonPartlyRefused
	case deferred > 0:
		return notify.ReasonDeferred
	default:
		return notify.ReasonRefused
	}
}

// result tells what was said for each recipient: its own answer, or the one that goes for the rest.
func (t *transaction) result(reason notify.Reason, rest reply, message string) notify.Result {
	r := result(reason, t.note+message)
	r.Server, r.TLS, r.Verified = t.server.address, t.tls, t.verified
	for i, to := range t.letter.recipients {
		answer := rest
		if t.answers[i] != nil {
			answer = *t.answers[i]
		}
		r.Recipients = append(r.Recipients, notify.Recipient{
			Address:      to.given,
			State:        answer.state,
			Code:         answer.code,
			EnhancedCode: answer.enhanced,
			Response:     answer.text,
		})
	}
	return r
}
