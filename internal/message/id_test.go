// SPDX-License-Identifier: Apache-2.0

package message

import (
	"net/mail"
	"regexp"
	"strings"
	"testing"
)

const uid = "0b0f6a52-9d0e-4c1b-8d53-7a9b3b5b1f00"

func TestID(t *testing.T) {
	t.Parallel()
	const left = uid + ".82c554a255074f8c@"
	for name, tc := range map[string]struct{ sender, want string }{
		"bare":                    {"tocsin@example.com", "example.com"},
		"display name":            {"Tocsin <tocsin@Mail.Example.COM>", "mail.example.com"},
		"display name with @":     {`"a@b <c>" <tocsin@example.com>`, "example.com"},
		"A-label":                 {"tocsin@xn--kln-sna.example", "xn--kln-sna.example"},
		"not in ASCII":            {"tocsin@köln.example", "tocsin.invalid"},
		"single label":            {"root@localhost", "localhost"},
		"address literal":         {"tocsin@[192.0.2.1]", "tocsin.invalid"},
		"empty":                   {"", "tocsin.invalid"},
		"no domain":               {"tocsin@", "tocsin.invalid"},
		"no address":              {"tocsin", "tocsin.invalid"},
		"line break":              {"tocsin@example.com>\r\nBcc: x@y", "tocsin.invalid"},
		"empty label":             {"tocsin@example..com", "tocsin.invalid"},
		"hyphen at the beginning": {"tocsin@-a.example", "tocsin.invalid"},
		"label too long":          {"tocsin@" + strings.Repeat("a", 64) + ".example", "tocsin.invalid"},
		"domain too long":         {"tocsin@" + strings.Repeat("a.", 127) + "example", "tocsin.invalid"},
	} {
		if got := ID(uid, "soc-mail", tc.sender); got != left+tc.want {
			t.Errorf("%s: got %s, want %s", name, got, left+tc.want)
		}
	}
}

func TestIDTellsDeliveriesApart(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, id := range []string{
		ID(uid, "a", "x@example.com"), ID(uid, "b", "x@example.com"), ID(uid+"0", "a", "x@example.com"),
		ID("", "a", "x@example.com"), ID("\r\n", "a", "x@example.com"), ID(strings.Repeat("u", 1000), "a", "x@example.com"),
	} {
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
	}
}

func TestThreadID(t *testing.T) {
	t.Parallel()
	const sender, channel = "Tocsin <tocsin@example.com>", "soc-mail"
	root := ThreadID(uid, "ws-0042", channel, sender)
	if want := "thread-220dd614d62577175ae16d4c6d3dd2ef.82c554a255074f8c@example.com"; root != want {
		t.Errorf("got %s, want %s: a new version would tear conversations apart", root, want)
	}
	seen := map[string]string{root: "the root"}
	for name, id := range map[string]string{
		"another condition":            ThreadID(uid+"0", "ws-0042", channel, sender),
		"another key":                  ThreadID(uid, "ws-0043", channel, sender),
		"the whole condition":          ThreadID(uid, "", channel, sender),
		"another channel":              ThreadID(uid, "ws-0042", "ciso-mail", sender),
		"UID and key, cut differently": ThreadID(uid+"ws", "-0042", channel, sender),
		"a notification":               ID(uid, channel, sender),
		"a notification without UUID":  ID(uid+"\x00ws-0042", channel, sender),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%s has the Message-ID of %s", name, other)
		}
		seen[id] = name
	}
}

func FuzzID(f *testing.F) {
	f.Add(uid, "soc-mail", "Tocsin <tocsin@example.com>")
	f.Add("", "", "")
	f.Add("<a>", "b\r\n", "c@d>\r\nBcc: e@f")
	valid := regexp.MustCompile(`^[A-Za-z0-9-]+\.[0-9a-f]{16}@[a-z0-9-]+(\.[a-z0-9-]+)*$`)
	f.Fuzz(func(t *testing.T, uid, channel, sender string) {
		id, root := ID(uid, channel, sender), ThreadID(uid, channel, channel, sender)
		for _, id := range []string{id, root} {
			if !valid.MatchString(id) || len(id) > 320 {
				t.Fatalf("%q is no Message-ID", id)
			}
			if _, err := mail.ParseAddress(id); err != nil {
				t.Errorf("%q: %v", id, err)
			}
		}
		if id == root {
			t.Errorf("%q is its own root", id)
		}
		if again := ID(uid, channel, sender); again != id {
			t.Errorf("%q, then %q", id, again)
		}
	})
}
