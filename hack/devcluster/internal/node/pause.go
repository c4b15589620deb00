// SPDX-License-Identifier: Apache-2.0

package node

import "context"

// Pause does nothing until ctx ends.
func Pause(ctx context.Context) { <-ctx.Done() }
