// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

const (
	// patience is how long a command works without a word, and heartbeat how often it says how far it is.
	patience  = time.Second
	heartbeat = 200 * time.Millisecond
)

// progress says on a terminal how far long work is, in one line that goes away. It says nothing elsewhere.
type progress struct {
	screen    *screen.Screen
	now       func() time.Time
	began, at time.Time
	// shown is how many columns the line has.
	shown int
}

func (a *App) progress() *progress { return newProgress(screen.New(a.ErrOut, os.Getenv), a.Now) }

func newProgress(s *screen.Screen, now func() time.Time) *progress {
	return &progress{screen: s, now: now, began: now()}
}

// say replaces the line, unless that is too early. It comes from us and needs no cleaning.
func (p *progress) say(format string, args ...any) {
	if p.screen.Width == 0 {
		return
	}
	now := p.now()
	if now.Sub(p.began) < patience || now.Sub(p.at) < heartbeat {
		return
	}
	p.at = now
	p.write(fmt.Sprintf(format, args...))
}

// clear takes the line away, before anything else is written.
func (p *progress) clear() {
	if p.shown > 0 {
		p.write("")
	}
}

// write overwrites the line with blanks, which every terminal can do.
func (p *progress) write(text string) {
	text = text[:min(len(text), max(p.screen.Width-1, 0))]
	blank := max(p.shown-len(text), 0)
	fmt.Fprint(p.screen, "\r"+text+strings.Repeat(" ", blank)+strings.Repeat("\b", blank))
	if p.shown = len(text); p.shown == 0 {
		fmt.Fprint(p.screen, "\r")
	}
}
