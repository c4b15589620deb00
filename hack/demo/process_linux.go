// SPDX-License-Identifier: Apache-2.0

package main

import "syscall"

func endWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
