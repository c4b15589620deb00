// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// longestComment is what the API takes, in characters.
const longestComment = 4096

// commentFlags are what an acknowledgement says.
type commentFlags struct{ comment, file string }

func (f *commentFlags) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&f.comment, "comment", "", "What was found or done (required, here or in a file)")
	c.Flags().StringVar(&f.file, "comment-file", "", "File with the comment; - for the standard input")
	c.MarkFlagsMutuallyExclusive("comment", "comment-file")
}

// none says that neither is given.
func (f *commentFlags) none() bool { return f.comment == "" && f.file == "" }

// read makes sure that there is a comment, and that the API would take its length.
func (f *commentFlags) read(c *cobra.Command, a *App) error {
	if f.file != "" {
		var err error
		if f.comment, err = a.readComment(f.file); err != nil {
			return fmt.Errorf("--comment-file: %w", err)
		}
		if strings.TrimSpace(f.comment) == "" {
			return fmt.Errorf("--comment-file: %s holds no text: the comment says what was found or done", f.file)
		}
	}
	switch length := utf8.RuneCountInString(f.comment); {
	case strings.TrimSpace(f.comment) == "":
		return &usageError{c, errors.New("--comment is needed: it says what was found or done; --comment-file reads it from a file")}
	case length > longestComment:
		return fmt.Errorf("the comment has %d characters; at most %d are kept", length, longestComment)
	}
	return nil
}

// readComment reads no more of a file than a comment may be long. The line break at its end is an editor's.
func (a *App) readComment(path string) (string, error) {
	in := a.In
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the user names the file
		if err != nil {
			return "", err
		}
		defer file.Close()
		in = file
	}
	const enough int64 = longestComment*utf8.UTFMax + int64(len("\r\n"))
	data, err := io.ReadAll(io.LimitReader(in, enough+1))
	switch {
	case err != nil:
		return "", err
	case int64(len(data)) > enough:
		return "", fmt.Errorf("%s has more than %d characters", path, longestComment)
	case !utf8.Valid(data):
		return "", fmt.Errorf("%s is no text in UTF-8", path)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
