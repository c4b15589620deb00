// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

// criterion is the value of a flag that selects. It may not be empty: what a script leaves empty by mistake would select all.
type criterion struct{ pflag.Value }

func (c criterion) Set(given string) error {
	if strings.TrimSpace(given) == "" {
		return errors.New("a criterion may not be empty; leave out the flag to select all")
	}
	return c.Value.Set(given)
}

// criteria makes flags criteria.
func criteria(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		flag := flags.Lookup(name)
		flag.Value, flag.DefValue = criterion{flag.Value}, "" // the value of a list that is not given would be shown as []
	}
}
