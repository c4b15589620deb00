// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine says what the numbers were taken on, as far as it says so itself.
func machine() string {
	cpu, memory, kernel := "unknown processor", "unknown", runtime.GOOS
	if found := firstMatch("/proc/cpuinfo", `(?m)^model name\s*:\s*(.+)$`); found != "" {
		cpu = found
	}
	if kB, err := strconv.ParseFloat(firstMatch("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB$`), 64); err == nil {
		memory = fmt.Sprintf("%.0f GiB", kB/(1<<20))
	}
	if found := firstMatch("/proc/sys/kernel/osrelease", `^(\d+\.\d+)`); found != "" {
		kernel = "Linux " + found
	}
	return fmt.Sprintf("%d cores of %s, %s of memory, %s, %s",
		runtime.NumCPU(), cpu, memory, kernel, strings.Replace(runtime.Version(), "go", "Go ", 1))
}

// firstMatch is the first group of a pattern in a file; empty where there is none.
func firstMatch(file, pattern string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		return ""
	}
	return string(found[1])
}

// cpuTime is what this process has taken of the machine's cores. Unlike the clock, it does not go on while others are at
// work.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
