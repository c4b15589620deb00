// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	storyDir  = "hack/demo/story"
	crdDir    = "config/crd"
	namespace = "security"

	// patience is how long to wait for what takes a moment, on a machine that has other things to do.
	patience = 30 * time.Second
)

// demo is what runs.
type demo struct {
	screen  *screen
	kubectl kubectl
	mailbox mailbox
	began   time.Time

	dir         string // of everything that is written
	managerFile string
	metricsPort int
	manager     *process
	mailServer  *mailServer
	fail        context.CancelCauseFunc
}

func newDemo(manager string, out *screen, fail context.CancelCauseFunc) (*demo, error) {
	for _, file := range []string{storyDir, crdDir, manager} {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is missing: run `make demo` at the top of the source tree", file)
		} else if err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return nil, fmt.Errorf("creating a temporary directory: %w", err)
	}
	return &demo{
		screen:      out,
		kubectl:     kubectl{screen: out, cache: filepath.Join(dir, "kubectl")},
		began:       time.Now().Truncate(time.Second),
		dir:         dir,
		managerFile: manager,
		fail:        fail,
	}, nil
}

// play starts everything, plays the story and checks what came of it.
func (d *demo) play(ctx context.Context) error {
	if err := d.kubectl.privateCluster(ctx); err != nil {
		return err
	}
	d.screen.step("A mail server with an inbox, and Tocsin")
	if err := d.startMailServer(ctx); err != nil {
		return err
	}
	if err := d.startManager(ctx); err != nil {
		return err
	}
	d.screen.step("Whom to tell and how, and what matters")
	if err := d.declare(ctx); err != nil {
		return err
	}
	for _, s := range story {
		if err := d.scene(ctx, s); err != nil {
			return err
		}
	}
	if err := d.review(ctx); err != nil {
		return err
	}
	d.screen.success("All is as it should be, after %.0f s: %d mails, no more and no fewer, each to the right people.",
		time.Since(d.began).Seconds(), len(expectedMails()))
	return nil
}

func (d *demo) startMailServer(ctx context.Context) error {
	server, err := startMailServer(ctx, d.dir, d.fail)
	d.mailServer = server
	if err != nil {
		return err
	}
	d.mailbox = mailbox{url: server.url()}
	d.screen.say("Mailpit takes mail at 127.0.0.1:%d, by STARTTLS and with a login only. Its inbox: %s/api/v1/messages",
		server.smtpPort, server.url())
	return nil
}

// defineKinds returns once the API server knows Tocsin's kinds; a manager that starts earlier ends with an error.
func (d *demo) defineKinds(ctx context.Context) error {
	if err := d.kubectl.show(ctx, "apply", "-k", crdDir); err != nil {
		return err
	}
	if err := d.kubectl.show(ctx, "wait", "crd", "--all", "--for=condition=Established", timeout(patience)); err != nil {
		return err
	}
	// The list of kinds may follow a moment later.
	return until(ctx, "Tocsin's kinds", func(ctx context.Context) error {
		_, err := d.kubectl.run(ctx, "", "get", "ntf,ntfcond,ntfchan,secev", "-A")
		return err
	})
}

func (d *demo) startManager(ctx context.Context) error {
	if err := d.defineKinds(ctx); err != nil {
		return err
	}
	var err error
	if d.metricsPort, err = freePort(); err != nil {
		return err
	}
	args := []string{
		fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", d.metricsPort),
		"--health-probe-bind-address=0",
		"--zap-encoder=console",
	}
	d.screen.command(shell(append([]string{d.managerFile}, args...)...) + " &")
	d.manager, err = start("Tocsin's manager", d.managerLog(), d.fail, d.managerFile, args...)
	return err
}

func (d *demo) managerLog() string { return filepath.Join(d.dir, "manager.log") }

// declare applies the channel, with the port of the mail server, and the conditions.
func (d *demo) declare(ctx context.Context) error {
	if err := d.kubectl.applyWith(ctx, filepath.Join(storyDir, "01-channel.yaml"),
		portInManifest, fmt.Sprintf("port: %d", d.mailServer.smtpPort)); err != nil {
		return err
	}
	if err := d.kubectl.show(ctx, "apply", "-f", filepath.Join(storyDir, "02-conditions.yaml")); err != nil {
		return err
	}
	return d.kubectl.show(ctx, "wait", "-n", namespace, "ntfchan,ntfcond", "--all", "--for=condition=Ready", timeout(patience))
}

// explain shows what there is after something went wrong.
func (d *demo) explain(ctx context.Context) {
	if d.manager == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	d.screen.title("Something is wrong. What there is:")
	if err := d.kubectl.show(ctx, "get", "ntf,ntfcond,ntfchan", "-A", "-o", "wide"); err != nil {
		d.screen.say("%s", err)
	}
	if d.manager.running() { // else the failure shows it
		d.screen.command(shell("tail", d.managerLog()))
		d.screen.quote(tail(d.managerLog()))
	}
}

// keep says where to look and waits for the end.
func (d *demo) keep(ctx context.Context) {
	d.screen.title("All goes on running until Ctrl-C. In another terminal, at the top of the source tree:")
	d.screen.quote(d.whereToLook())
	<-ctx.Done()
	d.screen.say("Ending.")
}

// cleanUp ends what runs and removes what was written.
func (d *demo) cleanUp() {
	if d.manager != nil {
		d.manager.end()
	}
	if d.mailServer != nil {
		d.mailServer.process.end()
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.screen.failure(err)
	}
}
