// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// scene is a manifest that is applied, and what must come of it.
type scene struct {
	title string
	file  string
	// mail that must arrive. nil: none; the events are held by the outbreak's damper.
	mail *expectation
}

const held = 3

var soc = []string{"soc@example.com", "Bereitschaft Köln <bereitschaft@xn--kln-sna.example>"}

var story = []scene{
	{
		title: "A scanner finds EICAR on one computer: a mail at once",
		file:  "03-eicar.yaml",
		mail: &expectation{
			condition: "single-risk",
			to:        soc,
			subject:   "[Critical] Malicious object detected on ws-0042",
			text: `Malicious object detected on ws-0042 (CORP, 10.0.0.42) at TIME
Object C:\Temp\eicar.com detected: EICAR-Test-File
Told by condition single-risk, which counted 1 in 1m.`,
		},
	},
	{
		title: "A worm comes to five computers within the hour: an outbreak mail, to somebody else",
		file:  "04-outbreak.yaml",
		mail: &expectation{
			condition: "outbreak",
			to:        []string{"ciso@example.com"},
			subject:   "OUTBREAK of W32.Sample: 5 computers in 1h",
			text: `W32.Sample was found 6 times on 5 computers,
first at TIME, last at TIME on ws-0105 (Deleted).`,
		},
	},
	{
		title: "The worm goes on: the damper keeps quiet for an hour, and counts",
		file:  "05-outbreak-goes-on.yaml",
	},
	{
		title: "The firewall blocks traffic, by a rule that says \"send email alert\": a mail",
		file:  "06-blocked-traffic.yaml",
		mail: &expectation{
			condition: "firewall-alerts",
			to:        soc,
			subject:   "[Warning] Inbound connection blocked on ws-0042",
			text: `Inbound connection blocked on ws-0042 (CORP, 10.0.0.42) at TIME
Rule 'Block RDP from outside' blocked 203.0.113.7:50123 to 10.0.0.42:3389
Told by condition firewall-alerts, which counted 14 in 1m.`,
		},
	},
	{
		title: "Somebody tries the channel: a test mail",
		file:  "07-test-notification.yaml",
		mail: &expectation{
			to:      soc,
			subject: "[Info] Test notification on test-computer",
			text: `This is a test of the channel soc-mail. Nothing has happened; no action is needed.

Test notification on test-computer (test-domain, 192.0.2.1) at TIME
Sample description of a test: nothing has happened.
Told by condition test-condition, which counted 1 in 1m.`,
		},
	},
}

func expectedMails() []expectation {
	var expected []expectation
	for _, s := range story {
		if s.mail != nil {
			expected = append(expected, *s.mail)
		}
	}
	return expected
}

// scene plays one scene.
func (d *demo) scene(ctx context.Context, s scene) error {
	d.screen.step(s.title)
	before, err := d.inbox(ctx, "the inbox", 0)
	if err != nil {
		return err
	}
	applied := time.Now()
	if err := d.kubectl.show(ctx, "apply", "-f", filepath.Join(storyDir, s.file)); err != nil {
		return err
	}
	if s.mail == nil {
		return d.silence(ctx, len(before))
	}
	mails, err := d.inbox(ctx, s.mail.String(), len(before)+1)
	if err != nil {
		return err
	}
	d.screen.say("%.1f s later there is mail:", time.Since(applied).Seconds())
	d.screen.heads(mails[len(before):])
	return nil
}

// inbox returns the mails once there are so many; what says which one is waited for.
func (d *demo) inbox(ctx context.Context, what string, atLeast int) (mails []mail, err error) {
	err = until(ctx, what, func(ctx context.Context) error {
		if mails, err = d.mailbox.all(ctx); err == nil && len(mails) < atLeast {
			err = fmt.Errorf("the inbox holds %d, and must hold %d", len(mails), atLeast)
		}
		return err
	})
	return mails, err
}

// silence waits until the damper has counted the events; by then a mail about them would have been decided.
func (d *demo) silence(ctx context.Context, before int) error {
	d.screen.say("The numbers are written to the condition's status every ten seconds.")
	if err := d.kubectl.show(ctx, "wait", "-n", namespace, "ntfcond/outbreak",
		fmt.Sprintf("--for=jsonpath={.status.dampers[0].held}=%d", held), timeout(patience)); err != nil {
		if outbreak, readErr := d.outbreak(ctx); readErr == nil {
			return errors.Join(err, problemsError(checkHeld(outbreak)))
		}
		return err
	}
	if err := d.kubectl.show(ctx, "get", "-n", namespace, "ntfcond/outbreak", "-o", "jsonpath={.status.dampers}"); err != nil {
		return err
	}
	mails, err := d.inbox(ctx, "the inbox", before)
	if err != nil {
		return err
	}
	if len(mails) != before {
		d.screen.heads(mails[min(before, len(mails)):])
		return fmt.Errorf("the inbox holds %d; while the damper runs it must stay at %d", len(mails), before)
	}
	d.screen.say("%d further infections are held, and the inbox is as it was.", held)
	return nil
}

func (d *demo) outbreak(ctx context.Context) (outbreak condition, err error) {
	err = d.kubectl.get(ctx, &outbreak, "notificationcondition/outbreak", "-n", namespace)
	return outbreak, err
}

// review shows the log and the inbox as they are in the end, and compares both with what must be there.
func (d *demo) review(ctx context.Context) error {
	d.screen.step("What Tocsin's log says")
	for _, args := range [][]string{
		{"wait", "-n", namespace, "ntf", "--all", "--for=condition=Succeeded", timeout(patience)},
		{"get", "-n", namespace, "notifications"},
		{"get", "-n", namespace, "notificationconditions"},
	} {
		if err := d.kubectl.show(ctx, args...); err != nil {
			return err
		}
	}
	d.screen.step("What has arrived")
	// The log is read first: a mail that was sent since would be one too many.
	var log notificationList
	if err := d.kubectl.get(ctx, &log, "notifications", "-A"); err != nil {
		return err
	}
	outbreak, err := d.outbreak(ctx)
	if err != nil {
		return err
	}
	mails, err := d.inbox(ctx, "the inbox", 0)
	if err != nil {
		return err
	}
	for _, m := range mails {
		d.screen.mail(m)
	}
	problems := checkMails(expectedMails(), mails, span{d.began, time.Now()})
	problems = append(problems, checkLog(expectedMails(), log.Items, mails)...)
	problems = append(problems, checkHeld(outbreak)...)
	return problemsError(problems)
}
