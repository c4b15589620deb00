// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const reader = "system:serviceaccount:security:reader"

// tokenOf is a token with claims, and something by which it differs from others.
func tokenOf(claims, salt string) string {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return strings.Join([]string{encode(`{"alg":"RS256"}`), encode(claims), encode(salt)}, ".")
}

// good is a token for the archive that expires so many seconds after noon.
func good(salt string, expires int) string {
	return tokenOf(fmt.Sprintf(`{"iss":"https://kubernetes.default.svc","sub":%q,"aud":[%q],"exp":%d}`,
		reader, Audience, noon.Add(time.Duration(expires)*time.Second).Unix()), salt)
}

// reviewer plays the API server, at a time that the test sets.
type reviewer struct {
	mu      sync.Mutex
	at      time.Time
	asked   int
	answers func(ctx context.Context, token string) (*authenticationv1.UserInfo, error)
}

func (r *reviewer) review(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	return r.answers(ctx, token)
}

func (r *reviewer) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *reviewer) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func accepts(context.Context, string) (*authenticationv1.UserInfo, error) {
	return &authenticationv1.UserInfo{Username: reader}, nil
}

func refuses(context.Context, string) (*authenticationv1.UserInfo, error) {
	return nil, fmt.Errorf("%w: forged", ErrUnknown)
}

func TestWhatIsNoTokenForTheArchiveCostsNothing(t *testing.T) {
	t.Parallel()
	const exp = `"exp":4000000000`
	for name, token := range map[string]string{
		"nothing":                  "",
		"no token":                 "x",
		"dots":                     "..",
		"no base64":                "a.!.b",
		"no JSON":                  tokenOf("x", ""),
		"too long":                 good(strings.Repeat("x", maxToken), 60),
		"five parts":               good("", 60) + ".a.b",
		"no audience":              tokenOf(`{"iss":"x","sub":"`+reader+`",`+exp+`}`, ""),
		"the API server's":         tokenOf(`{"iss":"x","sub":"`+reader+`","aud":["https://kubernetes.default.svc"],`+exp+`}`, ""),
		"the API server's as well": tokenOf(`{"iss":"x","sub":"`+reader+`","aud":["archive.tocsin.dev","https://kubernetes.default.svc"],`+exp+`}`, ""),
		"expired long ago":         good("", -3600),
		"without an end":           tokenOf(`{"iss":"x","sub":"`+reader+`","aud":"archive.tocsin.dev"}`, ""),
		"of no service account":    tokenOf(`{"iss":"x","sub":"alice","aud":"archive.tocsin.dev",`+exp+`}`, ""),
		"of no issuer":             tokenOf(`{"sub":"`+reader+`","aud":"archive.tocsin.dev",`+exp+`}`, ""),
	} {
		r := &reviewer{at: noon, answers: accepts}
		if _, err := NewTokens(r.review, r.now).Whose(t.Context(), token); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), Audience) {
			t.Errorf("%s: got %v", name, err)
		}
		if r.asked != 0 {
			t.Errorf("%s: the API server is asked", name)
		}
	}
	r := &reviewer{at: noon, answers: accepts}
	one := tokenOf(`{"iss":"x","sub":"`+reader+`","aud":"archive.tocsin.dev",`+exp+`}`, "")
	if user, err := NewTokens(r.review, r.now).Whose(t.Context(), one); err != nil || user.Username != reader {
		t.Errorf("one audience that is no list: %v, %v", user, err)
	}
}

func TestTheWordOnATokenHoldsForAMoment(t *testing.T) {
	t.Parallel()
	away := errors.New("the API server is away")
	for name, c := range map[string]struct {
		answers func(context.Context, string) (*authenticationv1.UserInfo, error)
		expires int
		after   time.Duration
		asked   int
		want    error
	}{
		"accepted":                  {accepts, 3600, rememberFor - time.Second, 1, nil},
		"accepted, later":           {accepts, 3600, rememberFor, 2, nil},
		"accepted, until it ends":   {accepts, 5, 5 * time.Second, 2, nil},
		"refused":                   {refuses, 3600, rememberFor - time.Second, 1, ErrUnknown},
		"refused, later":            {refuses, 3600, rememberFor + time.Second, 2, ErrUnknown},
		"it is not known who it is": {func(context.Context, string) (*authenticationv1.UserInfo, error) { return nil, away }, 3600, 0, 2, away},
		"somebody else's": {func(context.Context, string) (*authenticationv1.UserInfo, error) {
			return &authenticationv1.UserInfo{Username: "alice"}, nil
		}, 3600, 0, 1, ErrUnknown},
	} {
		r := &reviewer{at: noon, answers: c.answers}
		tokens := NewTokens(r.review, r.now)
		for i := range 2 {
			if _, err := tokens.Whose(t.Context(), good(name, c.expires)); !errors.Is(err, c.want) {
				t.Errorf("%s, time %d: got %v", name, i, err)
			}
			r.pass(c.after)
		}
		if r.asked != c.asked {
			t.Errorf("%s: the API server is asked %d times, want %d", name, r.asked, c.asked)
		}
	}
}

// TestATokenThatIsRevoked is refused once its moment has passed, and stands in line with strangers then.
func TestATokenThatIsRevoked(t *testing.T) {
	t.Parallel()
	r := &reviewer{at: noon, answers: accepts}
	tokens := NewTokens(r.review, r.now)
	if _, err := tokens.Whose(t.Context(), good("", 3600)); err != nil {
		t.Fatal(err)
	}
	r.answers = refuses
	r.pass(rememberFor)
	for range 2 {
		if _, err := tokens.Whose(t.Context(), good("", 3600)); !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v", err)
		}
	}
	if len(tokens.accepted.Keys()) != 0 {
		t.Error("it is still known")
	}
}

// TestForgedTokensHoldUpNobodyWhoIsKnown as they wait for each other alone.
func TestForgedTokensHoldUpNobodyWhoIsKnown(t *testing.T) {
	t.Parallel()
	known := good("known", 3600)
	begun := make(chan struct{}, 2*checksOfOthers)
	r := &reviewer{at: noon, answers: func(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
		if token == known {
			return accepts(ctx, token)
		}
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	tokens := NewTokens(r.review, r.now)
	if _, err := tokens.Whose(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	r.pass(rememberFor)
	ctx, cancel := context.WithCancel(t.Context())
	var forgers sync.WaitGroup
	for i := range checksOfOthers {
		forgers.Go(func() { _, _ = tokens.Whose(ctx, good(fmt.Sprint("forged-", i), 3600)) })
	}
	for range checksOfOthers {
		get(t, "a check", begun)
	}
	soon, over := context.WithTimeout(t.Context(), time.Millisecond)
	defer over()
	if _, err := tokens.Whose(soon, good("one too many", 3600)); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: got %v", err)
	}
	if len(begun) > 0 {
		t.Error("one too many is checked")
	}
	if _, err := tokens.Whose(t.Context(), known); err != nil {
		t.Errorf("who is known: %v", err)
	}
	cancel()
	forgers.Wait()
	if len(tokens.others) != 0 || len(tokens.known) != 0 {
		t.Error("checks that have ended count")
	}
}

func TestWhatIsRememberedOfTokensHasAnEnd(t *testing.T) {
	t.Parallel()
	r := &reviewer{at: noon, answers: accepts}
	tokens := NewTokens(r.review, r.now)
	if _, err := tokens.Whose(t.Context(), good("rightful", 3600)); err != nil {
		t.Fatal(err)
	}
	r.answers = refuses
	for i := range 2 * remembered {
		_, _ = tokens.Whose(t.Context(), good(fmt.Sprint(i), 3600))
	}
	if n := len(tokens.refused.Keys()); n != remembered {
		t.Errorf("%d are remembered", n)
	}
	if _, err := tokens.Whose(t.Context(), good("rightful", 3600)); err != nil {
		t.Errorf("they took the place of one that was accepted: %v", err)
	}
}
