// SPDX-License-Identifier: Apache-2.0

package mx

// Unnamed makes of the resolver one that asks the cluster's servers.
func (r *Resolver) Unnamed() *Resolver {
	r.named = false
	return r
}
