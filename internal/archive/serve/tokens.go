// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/cache"
)

const (
	// maxToken is longer than a token of a service account is, in bytes.
	maxToken = 16 << 10
	// rememberFor is for how long the API server's word on a token holds.
	rememberFor = 10 * time.Second
	// knownFor is for how long a token that was accepted does not stand in line with those that nobody has seen.
	knownFor = 10 * time.Minute
	// remembered is of how many tokens that were accepted something is remembered, and of as many that were refused.
	remembered = 1024
	// checksOfKnown is how many checks of known tokens are under way at once, checksOfOthers how many of others.
	checksOfKnown, checksOfOthers = 16, 8
	// skew is by how much our clock may be ahead of the API server's, which has the last word on what has expired.
	skew = time.Minute
)

// Review asks the API server whose a token is. ErrUnknown is nobody's.
type Review func(ctx context.Context, token string) (*authenticationv1.UserInfo, error)

// Tokens tells whose a token is, and keeps those who make tokens up from those who have one: what does not even look like a
// token for the archive costs nothing, and tokens that are not known wait for each other alone.
type Tokens struct {
	review            Review
	now               func() time.Time
	accepted, refused *cache.LRUExpireCache
	known, others     chan struct{}
}

// acceptance is what is remembered of a token that was accepted.
type acceptance struct {
	user *authenticationv1.UserInfo
	// until is when it must be asked about anew.
	until time.Time
}

// clockFunc is a cache's clock.
type clockFunc func() time.Time

// Now is the time.
func (f clockFunc) Now() time.Time { return f() }

// NewTokens returns what asks by review.
func NewTokens(review Review, now func() time.Time) *Tokens {
	return &Tokens{
		review: review, now: now,
		accepted: cache.NewLRUExpireCacheWithClock(remembered, clockFunc(now)),
		refused:  cache.NewLRUExpireCacheWithClock(remembered, clockFunc(now)),
		known:    make(chan struct{}, checksOfKnown), others: make(chan struct{}, checksOfOthers),
	}
}

// Whose says whose a token is. ErrUnknown is nobody's, ErrBusy that others are being asked about.
func (t *Tokens) Whose(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
	c, err := claimsOf(token, t.now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w: the header %s must hold a token of a service account for the audience %s alone",
			ErrUnknown, err, TokenHeader, Audience)
	}
	key := sha256.Sum256([]byte(token))
	if why, found := t.refused.Get(key); found {
		return nil, why.(error)
	}
	line := t.others
	if before, found := t.accepted.Get(key); found {
		line = t.known
		if a := before.(acceptance); t.now().Before(a.until) {
			return a.user, nil
		}
	}
	select {
	case line <- struct{}{}:
		defer func() { <-line }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: tokens of others are being checked", ErrBusy)
	}
	user, err := t.review(ctx, token)
	if err == nil && user.Username != c.Subject {
		err = fmt.Errorf("%w: it is none of a service account", ErrUnknown)
	}
	switch {
	case errors.Is(err, ErrUnknown):
		t.accepted.Remove(key)
		t.refused.Add(key, err, rememberFor)
		return nil, err
	case err != nil:
		return nil, err
	}
	until := t.now().Add(rememberFor)
	if expires := time.Unix(c.Expires, 0); expires.Before(until) {
		until = expires
	}
	t.accepted.Add(key, acceptance{user, until}, knownFor)
	return user, nil
}

// claims are what a token says of itself. They are true once the API server has accepted it.
type claims struct {
	Issuer   string    `json:"iss"`
	Subject  string    `json:"sub"`
	Audience audiences `json:"aud"`
	// Expires is in seconds since 1970.
	Expires int64 `json:"exp"`
}

// audiences are one, or a list.
type audiences []string

// UnmarshalJSON reads either.
func (a *audiences) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*a = audiences{""}
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// claimsOf reads a token, and refuses one that cannot be for the archive alone: nobody is to send one that opens more.
func claimsOf(token string, now time.Time) (claims, error) {
	var c claims
	parts := strings.SplitN(token, ".", 4)
	if len(token) > maxToken || len(parts) != 3 {
		return c, errors.New("it is none")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return c, errors.New("it cannot be read")
	}
	switch {
	case c.Issuer == "" || !strings.HasPrefix(c.Subject, "system:serviceaccount:"):
		return c, errors.New("it is none of a service account")
	case len(c.Audience) != 1 || c.Audience[0] != Audience:
		return c, errors.New("it is for something else, or for more")
	case !time.Unix(c.Expires, 0).After(now.Add(-skew)):
		return c, errors.New("it has expired")
	}
	return c, nil
}
