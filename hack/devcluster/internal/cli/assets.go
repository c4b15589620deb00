// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/assets"
)

func (a *app) assets(ctx context.Context, args []string) error {
	var with []string
	f := newFlags("assets")
	f.with(&with)
	if err := f.parse(args); err != nil {
		return err
	}
	if err := assets.Check(f.Args()...); err != nil {
		return usageError{err}
	}
	dir, err := a.cache.Dir(ctx, f.Args()...)
	if err != nil {
		return err
	}
	if _, err := a.cache.Extra(ctx, with...); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, dir)
	return err
}
