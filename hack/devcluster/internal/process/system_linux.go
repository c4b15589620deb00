// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Positions in /proc/PID/stat after the command's name; see proc_pid_stat(5), which counts from 1 and has two more.
const (
	statState     = 0
	statGroup     = 2
	statTerminal  = 5 // the foreground process group of the terminal
	statStartTime = 19
)

// bootID keeps a process from before a reboot apart from one that started as many ticks after it.
var bootID = sync.OnceValues(func() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
})

func startOf(pid int) (string, error) {
	stat, err := readStat(strconv.Itoa(pid))
	if err != nil {
		return "", err
	}
	if state := stat[statState]; state == "Z" || state == "X" {
		return "", fmt.Errorf("it has ended (state %s)", state)
	}
	boot, err := bootID()
	if err != nil {
		return "", err
	}
	return boot + " " + stat[statStartTime], nil
}

// OwnsTerminal says whether this process is in the foreground of a terminal, which then sends the signals of its
// keys to the whole process group.
func OwnsTerminal() bool {
	stat, err := readStat("self")
	return err == nil && stat[statGroup] == stat[statTerminal]
}

func readStat(pid string) ([]string, error) {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil, err
	}
	// The name in brackets may hold anything, brackets and spaces too.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= statStartTime {
		return nil, fmt.Errorf("/proc/%s/stat has an unknown form", pid)
	}
	return fields, nil
}

func setDeathSignal(attr *syscall.SysProcAttr, sig syscall.Signal) {
	attr.Pdeathsig = sig
}
