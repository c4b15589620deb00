// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// mail is a mail as the mail server gives it back. Recipients that the mail's head does not name are in Bcc.
type mail struct {
	ID          string
	MessageID   string
	From        address
	To, Cc, Bcc []address
	Subject     string
	Text, HTML  string
}

type address struct{ Name, Address string }

func (a address) String() string {
	if a.Name == "" {
		return a.Address
	}
	return a.Name + " <" + a.Address + ">"
}

func (m mail) to() []string {
	var names []string
	for _, list := range []struct {
		prefix    string
		addresses []address
	}{{"", m.To}, {"Cc: ", m.Cc}, {"Bcc: ", m.Bcc}} {
		for _, a := range list.addresses {
			names = append(names, list.prefix+a.String())
		}
	}
	return names
}

func (m mail) text() string {
	return strings.TrimSpace(strings.ReplaceAll(m.Text, "\r\n", "\n"))
}

// mailbox reads the mail server's inbox by its REST interface.
type mailbox struct{ url string }

// all are the mails, the first first.
func (b mailbox) all(ctx context.Context) ([]mail, error) {
	ids, err := b.ids(ctx)
	if err != nil {
		return nil, err
	}
	mails := make([]mail, len(ids))
	for i, id := range ids {
		if err := b.get(ctx, "/api/v1/message/"+id, &mails[i]); err != nil {
			return nil, err
		}
	}
	return mails, nil
}

// ids are those of the mails, the first first; Mailpit lists the last first.
func (b mailbox) ids(ctx context.Context) ([]string, error) {
	var list struct {
		Messages []struct{ ID string }
	}
	if err := b.get(ctx, "/api/v1/messages?limit=500", &list); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(list.Messages))
	for _, message := range slices.Backward(list.Messages) {
		ids = append(ids, message.ID)
	}
	return ids, nil
}

func (b mailbox) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking the mail server: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking the mail server for %s: %s", path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading what the mail server said to %s: %w", path, err)
	}
	return nil
}
