// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// Entry is a notification as a row. What is not compared with regard to case is in lower case.
type Entry struct {
	uid, namespace, name string
	// revision tells later states of the object from earlier ones.
	revision int64
	// created and decided are in seconds since 1970, which is as exact as the object tells them.
	created, decided int64
	kind, condition  string
	severity         string
	creator          string
	state            string
	acknowledged     bool
	acknowledgedBy   string
	// acknowledgedAt is nil where nobody has, or nobody knows when.
	acknowledgedAt *int64
	// channels and computers are lists as listed writes them.
	channels, computers string
	// text is all that a filter's text is looked for in.
	text string
	// object is the notification as JSON.
	object string
}

// Size is about how many bytes the entry takes.
func (e *Entry) Size() int { return len(e.text) + len(e.object) }

// Revision tells later states of the notification from earlier ones.
func (e *Entry) Revision() int64 { return e.revision }

// NewEntry makes the entry of a notification.
func NewEntry(n *v1alpha1.Notification) (Entry, error) {
	revision, err := Revision(n)
	if err != nil {
		return Entry{}, err
	}
	written := *n
	written.APIVersion, written.Kind = v1alpha1.GroupVersion.String(), "Notification"
	written.ManagedFields = nil
	object, err := json.Marshal(&written)
	if err != nil {
		return Entry{}, fmt.Errorf("writing notification %s/%s: %w", n.Namespace, n.Name, err)
	}
	e := Entry{
		uid: clean(string(n.UID)), namespace: clean(n.Namespace), name: clean(n.Name), revision: revision,
		created: n.CreationTimestamp.Unix(), decided: logfilter.Time(n).Unix(),
		kind: folded(n.Spec.Type), severity: clean(string(n.Spec.Severity)), creator: clean(n.Spec.Creator),
		state:    clean(string(logfilter.State(n))),
		channels: listed(logfilter.Channels(n)), computers: listed(logfilter.Computers(n)),
		text:   folded(strings.Join(logfilter.Texts(n), separator)),
		object: string(object),
	}
	if c := n.Spec.Condition; c != nil {
		e.condition = folded(c.Name)
	}
	if a := n.Spec.Acknowledgement; a != nil {
		e.acknowledged, e.acknowledgedBy = true, clean(a.By)
		if at := cmp.Or(a.Time, n.Status.AcknowledgedTime); at != nil {
			seconds := at.Unix()
			e.acknowledgedAt = &seconds
		}
	}
	return e, nil
}

// Revision is the object's resourceVersion as a number.
func Revision(n *v1alpha1.Notification) (int64, error) {
	revision, err := strconv.ParseInt(n.ResourceVersion, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the resourceVersion of notification %s/%s: %w", n.Namespace, n.Name, err)
	}
	return revision, nil
}

// separator stands between texts, and around the names of a list.
const separator = "\n"

// listed writes names one after the other, each between separators.
func listed(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return separator + folded(strings.Join(names, separator)) + separator
}

// folded is how text is kept that is compared without regard to case.
func folded(s string) string { return clean(strings.ToLower(s)) }

// clean replaces what PostgreSQL refuses in text. What is equal, or a part of another, stays so.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
