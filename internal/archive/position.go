// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"fmt"
	"strconv"
	"strings"
)

// position is an entry's place in the order in which entries are found.
type position struct {
	decided int64
	uid     string
}

// String writes what is given out to go on from here.
func (p position) String() string { return strconv.FormatInt(p.decided, 10) + "." + p.uid }

// longestUID is more than a UID has.
const longestUID = 128

func parsePosition(text string) (position, error) {
	seconds, uid, found := strings.Cut(text, ".")
	decided, err := strconv.ParseInt(seconds, 10, 64)
	if !found || err != nil || uid == "" || len(uid) > longestUID {
		return position{}, fmt.Errorf("%w: continue: %.40q was not given out by the archive", ErrQuery, text)
	}
	return position{decided, clean(uid)}, nil
}
