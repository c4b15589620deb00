// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

const pollInterval = 50 * time.Millisecond

// until asks again and again until there is no error left, for a while. The last error says what was there instead.
func until(ctx context.Context, what string, ask func(context.Context) error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ask(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("waited %s for %s: %w", patience, what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}
