// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"path/filepath"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/assets"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
)

// programs finds or builds what was asked for, and says what of it a control plane runs.
func (a *app) programs(ctx context.Context, withNode bool, with ...string) (
	programs assets.Programs, run controlplane.Programs, err error,
) {
	if withNode {
		if err := node.Check(); err != nil {
			return programs, run, err
		}
		if err := node.BypassProxies(); err != nil {
			return programs, run, err
		}
	}
	if programs, err = a.cache.ControlPlane(ctx, with...); err != nil {
		return programs, run, err
	}
	run = controlplane.Programs{
		Etcd:              filepath.Join(programs.Dir, assets.Etcd),
		APIServer:         filepath.Join(programs.Dir, assets.APIServer),
		ControllerManager: programs.ControllerManager,
	}
	if withNode {
		dir, err := a.cache.Ensure(ctx, assets.Scheduler, assets.Kubelet)
		if err != nil {
			return programs, run, err
		}
		run.Scheduler, run.Kubelet = filepath.Join(dir, assets.Scheduler), filepath.Join(dir, assets.Kubelet)
	}
	return programs, run, nil
}
