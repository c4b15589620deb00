// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/tocsin-dev/tocsin/internal/message"
)

const (
	// OutputLines is how many lines of what a program printed are kept, and maxOutput how many bytes.
	OutputLines = 20
	maxOutput   = 1024
	// MaxLog is how many bytes of a log are read at most: so many lines, as container runtimes break those longer than 16 KiB.
	MaxLog = OutputLines * (16<<10 + 1)
)

// Output is what is kept of a program's log: its last lines, and nothing that could deceive whoever reads it.
func Output(log []byte) string {
	text := strings.ToValidUTF8(string(log), "\uFFFD")
	lines := strings.Split(message.Block(text, len(text)), "\n")
	text = strings.Join(lines[max(0, len(lines)-OutputLines):], "\n")
	if len(text) <= maxOutput {
		return text
	}
	const ellipsis = "…"
	text = text[len(text)-(maxOutput-len(ellipsis)):]
	for text != "" && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return ellipsis + text
}

// happened is when an event was last seen; the two APIs for events fill in different fields.
func happened(e corev1.Event) time.Time {
	at := e.LastTimestamp.Time
	if e.EventTime.After(at) {
		at = e.EventTime.Time
	}
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	return at
}
