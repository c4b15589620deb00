// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"crypto/x509"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/mx"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/outbox"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/tlsconfig"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

const (
	// certificateNotice is how long ahead a channel says that its client's certificate expires.
	certificateNotice = 30 * 24 * time.Hour
	// maxSubject is how long the certificate's subject may be in the status, in bytes.
	maxSubject = 1024
)

// gathered is what a channel is judged by, besides itself.
type gathered struct {
	// settings is what is wrong with the settings, Secrets aside.
	settings error
	// secrets were read unless the settings are wrong; credentials is what is wrong with them.
	secrets     Secrets
	credentials *CredentialsError
	// exec is what is to be said of running programs; nil where none is run.
	exec *status.Verdict
	// fallback is the channel that fallbackRef names; nil when there is none.
	fallback *v1alpha1.NotificationChannel
	// domains are what is wrong with the domains that were looked up, one for each server; nil where nothing is.
	domains []*mx.Error
}

// judgeChannel says whether a channel can be used.
func judgeChannel(channel *v1alpha1.NotificationChannel, g gathered, now time.Time) status.Verdict {
	verdict := verify.Channel(&channel.Spec)
	certificate := g.certificate()
	switch {
	case fallsBackOnItself(channel):
		return stalled("`spec.fallbackRef`: names this channel itself, which cannot take over from itself; name another one, or none")
	case verdict.Stalled:
		return verdict
	case g.exec != nil && (!g.exec.Ready || verdict.Ready && g.exec.Message != ""):
		return *g.exec
	case g.settings != nil:
		return stalled("`" + settingsField(channel) + "`: " + g.settings.Error())
	case g.credentials != nil:
		return status.Verdict{Reason: g.credentials.Reason, Message: g.credentials.Message}
	case certificate != nil && tlsconfig.Validity(certificate, now) != "":
		reason := v1alpha1.ReasonSecretInvalid
		if now.After(certificate.NotAfter) {
			reason = v1alpha1.ReasonCertificateExpired
		}
		return status.Verdict{Reason: reason, Message: fmt.Sprintf("`%s.tls.clientCertificateRef`: the certificate in Secret %q "+
			"%s; put one that is valid there", settingsField(channel), channel.Spec.Transport().TLS.ClientCertificateRef.Name,
			tlsconfig.Validity(certificate, now))}
	}
	return judgeDomains(channel, g.domains, verdict)
}

func stalled(message string) status.Verdict {
	return status.Verdict{Stalled: true, Reason: v1alpha1.ReasonInvalid, Message: message}
}

func fallsBackOnItself(channel *v1alpha1.NotificationChannel) bool {
	ref := channel.Spec.FallbackRef
	return ref != nil && ref.Name == channel.Name
}

func (g gathered) certificate() *x509.Certificate {
	if g.secrets.Certificate == nil {
		return nil
	}
	return g.secrets.Certificate.Leaf
}

// describe writes what was found out about a channel into its status.
func describe(channel *v1alpha1.NotificationChannel, g gathered, verdict status.Verdict, now time.Time) {
	s := &channel.Status
	s.ObservedGeneration = channel.Generation
	s.Revision = revision(channel, g.secrets.known(s.Revision))
	s.ClientCertificate = nil
	if certificate := g.certificate(); certificate != nil {
		s.ClientCertificate = &v1alpha1.CertificateStatus{
			Subject:  notify.Bound(certificate.Subject.String(), maxSubject),
			NotAfter: metav1.NewTime(certificate.NotAfter),
		}
	}
	status.SetReady(&s.Conditions, channel.Generation, verdict)
	advise(channel, v1alpha1.CertificateExpiringCondition, certificateAdvice(channel, g, now))
	advise(channel, v1alpha1.DNSSECAdvisedCondition, dnssecAdvice(channel))
	advise(channel, v1alpha1.FallbackNotReadyCondition, fallbackAdvice(channel, g.fallback))
}

func advise(channel *v1alpha1.NotificationChannel, kind string, a advice) {
	if a == (advice{}) {
		meta.RemoveStatusCondition(&channel.Status.Conditions, kind)
		return
	}
	status.Set(&channel.Status.Conditions, channel.Generation, kind, metav1.ConditionTrue, a.reason, a.message)
}

// advice is a reason and a message of a status condition that is there only while it is true. The zero advice is none.
type advice struct{ reason, message string }

// certificateAdvice goes on after the certificate has expired: whoever was alarmed must not think that all is well again.
func certificateAdvice(channel *v1alpha1.NotificationChannel, g gathered, now time.Time) advice {
	certificate := g.certificate()
	if certificate == nil || now.Before(certificate.NotAfter.Add(-certificateNotice)) {
		return advice{}
	}
	reason, tense := v1alpha1.CertificateExpiringCondition, "expires"
	if now.After(certificate.NotAfter) {
		reason, tense = v1alpha1.ReasonCertificateExpired, "expired"
	}
	return advice{reason, fmt.Sprintf("the client's certificate in Secret %q %s at %s; put a new one there, it is used without a restart",
		channel.Spec.Transport().TLS.ClientCertificateRef.Name, tense, certificate.NotAfter.UTC().Format(time.RFC3339))}
}

func dnssecAdvice(channel *v1alpha1.NotificationChannel) advice {
	t := channel.Spec.Transport()
	if t == nil || !t.MXLookup || t.DNS != nil && t.DNS.DNSSEC == v1alpha1.DNSSECRequire {
		return advice{}
	}
	why := "with TLS Opportunistic the server is whoever DNS says, whatever its certificate"
	if t.TLS != nil {
		switch t.TLS.Mode {
		case v1alpha1.TLSNone:
			why = "nothing is encrypted or checked"
		case v1alpha1.TLSRequired:
			why = "the server's certificate is checked against a name that DNS gave"
		}
	}
	return advice{v1alpha1.DNSSECAdvisedCondition, "the servers are found by DNS and " + why + ", so that whoever can forge an answer " +
		"gets the mail; name a resolver that validates in `dns.resolvers` and set `dns.dnssec: Require`"}
}

func fallbackAdvice(channel, fallback *v1alpha1.NotificationChannel) advice {
	ref := channel.Spec.FallbackRef
	switch {
	case ref == nil || fallsBackOnItself(channel):
		return advice{}
	case fallback == nil:
		return advice{outbox.ReasonChannelNotFound, fmt.Sprintf("NotificationChannel %q does not exist: until it does, nobody takes over "+
			"what this channel cannot deliver", ref.Name)}
	case status.IsTrue(fallback.Status.Conditions, v1alpha1.ReadyCondition):
		return advice{}
	}
	why := status.Message(fallback.Status.Conditions, v1alpha1.ReadyCondition)
	if why == "" {
		why = "it is being checked"
	}
	return advice{outbox.ReasonChannelNotReady, fmt.Sprintf("NotificationChannel %q is not ready, and until it is, what this channel "+
		"cannot deliver waits there: %s", ref.Name, why)}
}

// nextLook is when a channel is to be looked at again; 0 when only a change of it can change anything.
func nextLook(g gathered, now time.Time) time.Duration {
	if g.exec != nil {
		return secretPoll // rights, quotas and policies are not watched
	}
	if g.credentials != nil {
		return secretRetry
	}
	var next time.Duration
	switch {
	case g.secrets.Version != "":
		next = secretPoll
	case g.domains != nil:
		next = domainPoll
	}
	if certificate := g.certificate(); certificate != nil {
		for _, instant := range []time.Time{
			certificate.NotBefore, certificate.NotAfter.Add(-certificateNotice),
			certificate.NotAfter.Add(time.Nanosecond), // it is valid in its last second, too
		} {
			if left := instant.Sub(now); left > 0 {
				next = min(next, left)
			}
		}
	}
	return next
}
