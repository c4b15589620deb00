// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/mx"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/status"
)

const (
	// domainPoll is how often the domains of a channel are looked up.
	domainPoll = 3 * time.Minute
	// domainPatience is how long that may take, all of them together.
	domainPatience = 5 * time.Second
)

// settled are the answers about a domain that say that no mail can go there, with the reason of the Ready condition and what
// to do about it. Any other failure says nothing about the domain.
var settled = map[mx.Reason]struct {
	reason notify.Reason
	remedy string
}{
	mx.NotFound: {notify.ReasonDomainNotFound, "name a domain that exists and has a mail server, or leave `mxLookup` out if it " +
		"is a server"},
	mx.NullMX: {notify.ReasonNullMX, "name the domain or the server that takes its mail"},
	mx.Bogus: {notify.ReasonDNSSECBogus, "whoever runs the domain has to mend its signatures; if those of other domains are bogus, too, " +
		"mend the resolver"},
	mx.NotAuthenticated: {notify.ReasonDNSSECMissing, "have the domain signed, name resolvers that validate in `dns.resolvers`, or do " +
		"not require DNSSEC"},
}

// domains remembers what was found out about the domains of channels.
type domains struct {
	mu    sync.Mutex
	known map[types.NamespacedName]look
}

// look is what was found out about a channel's domains.
type look struct {
	uid        types.UID
	generation int64
	at         time.Time
	// problems are one for each server; nil where there is none.
	problems []*mx.Error
}

// look asks again after a while. What was found out holds where an answer says nothing.
func (d *domains) look(channel *v1alpha1.NotificationChannel, now time.Time, ask func() []error) []*mx.Error {
	key := client.ObjectKeyFromObject(channel)
	d.mu.Lock()
	last := d.known[key]
	d.mu.Unlock()
	same := last.uid == channel.UID && last.generation == channel.Generation && last.problems != nil
	if same && now.Before(last.at.Add(domainPoll)) {
		return last.problems
	}
	next := look{uid: channel.UID, generation: channel.Generation, at: now, problems: []*mx.Error{}}
	for i, err := range ask() {
		problem, ok := errors.AsType[*mx.Error](err)
		if ok {
			_, ok = settled[problem.Reason]
		}
		switch {
		case err == nil:
			problem = nil
		case !ok && same:
			problem = last.problems[i]
		case !ok:
			problem = nil
		}
		next.problems = append(next.problems, problem)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[types.NamespacedName]look{}
	}
	d.known[key] = next
	return next.problems
}

func (d *domains) forget(key types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, key)
}

// lookUp is what is wrong with the domains of a channel, if it has any.
func (r *ChannelReconciler) lookUp(ctx context.Context, channel *v1alpha1.NotificationChannel, now time.Time) []*mx.Error {
	if !channel.Spec.Transport().MXLookup || channel.Spec.Suspend {
		return nil
	}
	return r.domains.look(channel, now, func() []error { return r.Senders.lookUp(ctx, channel.Spec.Transport()) })
}

// lookUp asks for all domains at once. It remembers what mail is sent by.
func (s Senders) lookUp(ctx context.Context, t *v1alpha1.MailTransport) []error {
	ctx, cancel := context.WithTimeout(ctx, domainPatience)
	defer cancel()
	found := make([]error, len(t.Servers))
	resolver, err := s.resolvers.of(t.DNS, timeoutOf(t))
	var asking sync.WaitGroup
	for i, server := range t.Servers {
		if found[i] = err; err == nil {
			asking.Go(func() { _, found[i] = resolver.Lookup(ctx, string(server), portOf(t)) })
		}
	}
	asking.Wait()
	return found
}

// judgeDomains says whether there is a domain that mail can go to. They are tried in order, up to one that is forged.
func judgeDomains(channel *v1alpha1.NotificationChannel, problems []*mx.Error, verdict status.Verdict) status.Verdict {
	var told []string
	var worst *mx.Error
	usable := false
	for _, problem := range problems {
		if problem == nil {
			usable = usable || worst == nil || worst.Reason != mx.Bogus
			continue
		}
		told = append(told, problem.Error()+"; "+settled[problem.Reason].remedy)
		if worst == nil || problem.Reason == mx.Bogus {
			worst = problem
		}
	}
	if worst == nil || !verdict.Ready {
		return verdict
	}
	message := "`" + settingsField(channel) + ".servers`: " + strings.Join(told, "; ")
	if usable {
		verdict.Message += ", but not by all of its servers: " + message
		return verdict
	}
	return status.Verdict{Reason: string(settled[worst.Reason].reason), Message: message}
}
