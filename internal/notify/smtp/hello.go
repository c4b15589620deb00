// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"net/textproto"
	"strings"
)

// hello says it, and learns what the server can do. The library reads keywords as they are written; they may be written in
// any case (RFC 5321, 4.1.1.1).
func (c *conversation) hello(at step, say func() error) *failure {
	c.conn.nextStep()
	early, _ := c.client.Text.R.Peek(c.client.Text.R.Buffered())
	c.stream.heard = bytes.NewBuffer(bytes.Clone(early))
	err := say()
	c.extensions = extensionsIn(c.stream.heard.String())
	c.stream.heard = nil
	if err != nil {
		return c.failed(at, err)
	}
	return nil
}

// helloAgain is for after the handshake: what was heard before it counts for nothing (RFC 3207, 4.2).
func (c *conversation) helloAgain() error {
	return c.say(250, "EHLO "+c.sender.helloName)
}

// say says a line and wants an answer of that code.
func (c *conversation) say(code int, line string) error {
	_, _, err := c.exchange(code, line)
	return err
}

// exchange says a line and hears an answer, of that code unless it is 0.
func (c *conversation) exchange(code int, line string) (int, string, error) {
	text := c.client.Text
	id, err := text.Cmd("%s", line)
	if err != nil {
		return 0, "", err
	}
	text.StartResponse(id)
	defer text.EndResponse(id)
	return text.ReadResponse(code)
}

// extensionsIn reads the answer to EHLO: keywords in capitals, and what follows each.
func extensionsIn(heard string) map[string]string {
	extensions := map[string]string{}
	first := true
	for line := range strings.Lines(heard) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "250")
		if !ok {
			break // EHLO is not known, and what follows is the answer to HELO
		}
		if keyword, parameters, _ := strings.Cut(strings.TrimLeft(text, "- "), " "); !first {
			keyword = strings.ToUpper(keyword)
			if old, ok := strings.CutPrefix(keyword, "AUTH="); ok { // as before RFC 2554
				keyword, parameters = "AUTH", old+" "+parameters
			}
			extensions[keyword] = strings.TrimSpace(extensions[keyword] + " " + textproto.TrimString(parameters))
		}
		if first = false; !strings.HasPrefix(text, "-") {
			break
		}
	}
	return extensions
}

// offers says whether the server has an extension, and what it says about it.
func (c *conversation) offers(keyword string) (parameters string, ok bool) {
	parameters, ok = c.extensions[keyword]
	return parameters, ok
}
