// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"regexp"

	"github.com/emersion/go-msgauth/dkim"
)

// minRSA is the size of RSA keys in bits that verifiers believe (RFC 8301, 3.2, and what is good practice since).
const minRSA = 2048

// signed are the fields that a signature covers. Those that a message does not have cannot be added to it either. Each that
// stands twice may not be added a second time (RFC 6376, 8.15).
var signed = []string{
	"From", "From", "To", "To", "Subject", "Subject", "Date", "Date", "Message-ID", "Message-ID",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted", "In-Reply-To", "References",
}

// selector is one label at least, of letters, digits and hyphens; so is a domain in A-labels.
var selector = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

// signer signs messages. go-mail's own breaks its signature over as many fields as these: it folds the list of them in the
// middle of a name.
type signer struct {
	options dkim.SignOptions
}

// newSigner returns nil if there is nothing to sign with.
func newSigner(d *DKIM) (*signer, error) {
	if d == nil {
		return nil, nil
	}
	domain, err := asciiDomain(d.Domain)
	if err != nil || !selector.MatchString(domain) {
		return nil, fmt.Errorf("dkim: domain %q: must be a DNS name", d.Domain)
	}
	if !selector.MatchString(d.Selector) {
		return nil, fmt.Errorf("dkim: selector %q: must be a DNS label", d.Selector)
	}
	if d.Key == nil {
		return nil, errors.New("dkim: there is no key")
	}
	switch key := d.Key.Public().(type) {
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSA {
			return nil, fmt.Errorf("dkim: the RSA key has %d bits: must have %d at least", key.N.BitLen(), minRSA)
		}
	default:
		return nil, errors.New("dkim: the key is neither RSA nor Ed25519")
	}
	return &signer{options: dkim.SignOptions{
		Domain: domain, Selector: d.Selector, Signer: d.Key, HeaderKeys: signed,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}}, nil
}

// sign puts a signature before a message.
func (s *signer) sign(message []byte) ([]byte, error) {
	options := s.options
	var out bytes.Buffer
	if err := dkim.Sign(&out, bytes.NewReader(message), &options); err != nil {
		return nil, fmt.Errorf("signing the message: %w", err)
	}
	return out.Bytes(), nil
}

// render writes a letter out, and signs it where that is to be.
func (s *Sender) render(l *letter, smtpUTF8 bool) ([]byte, error) {
	content, err := l.render(smtpUTF8)
	if err != nil || s.dkim == nil {
		return content, err
	}
	return s.dkim.sign(content)
}
