// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// The exit codes. docs/kubectl-tocsin.md lists them.
const (
	exitDone = iota
	// exitError: the command could not do what it was told.
	exitError
	// exitNotDelivered: the test of a channel has ended, and not all recipients were reached.
	exitNotDelivered
	// exitNoResult: the test of a channel had not ended when the time was over.
	exitNoResult
	// exitInterrupted is what shells say for an interrupted program.
	exitInterrupted = 130
)

// resultError ends a command with an exit code of its own.
type resultError struct {
	code int
	text string
}

func (e *resultError) Error() string { return e.text }

// usageError is a command line that cannot be understood.
type usageError struct {
	command *cobra.Command
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// report says what went wrong, as kubectl does, and returns the exit code.
func (a *App) report(err error) int {
	var result *resultError
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return exitDone
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &result):
		a.note("error: %s", result.text)
		return result.code
	case errors.As(err, &usage):
		a.note("error: %s", err.Error())
		a.note("See '%s --help' for usage.", usage.command.CommandPath())
		return exitError
	}
	a.note("%s", explain(err))
	return exitError
}

// explain words an error as kubectl does.
func explain(err error) string {
	var status apierrors.APIStatus
	var connection *url.Error
	switch {
	case errors.As(err, &status):
		s := status.Status()
		if s.Reason == metav1.StatusReasonUnknown {
			return "Error from server: " + s.Message
		}
		return fmt.Sprintf("Error from server (%s): %s", s.Reason, s.Message)
	case errors.As(err, &connection) && errors.Is(err, syscall.ECONNREFUSED):
		host := connection.URL
		if server, parseErr := url.Parse(connection.URL); parseErr == nil {
			host = server.Host
		}
		return fmt.Sprintf("The connection to the server %s was refused - did you specify the right host or port?", host)
	}
	text := err.Error()
	if strings.HasPrefix(text, "error: ") {
		return text
	}
	return "error: " + text
}

// clean keeps text from the cluster from doing anything to a terminal.
type clean struct{ io.Writer }

func (w clean) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, screen.Block(strings.TrimRight(string(p), "\n"), "")); err != nil {
		return 0, err
	}
	return len(p), nil
}
