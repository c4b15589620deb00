// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/archive"
)

// writeInto is the variable that makes the test program one that writes to the archive it names, until it is killed.
const writeInto = "TOCSIN_TEST_WRITE_INTO"

func TestMain(m *testing.M) {
	if location := os.Getenv(writeInto); location != "" {
		fmt.Fprintln(os.Stderr, writeOn(location))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeOn tells the number of each entry once it is written.
func writeOn(location string) error {
	d, err := archive.New(location)
	if err != nil {
		return err
	}
	for number := 1; ; number++ {
		n := told(number)
		e, err := archive.NewEntry(&n)
		if err != nil {
			return err
		}
		if err := d.Put(context.Background(), []archive.Entry{e}); err != nil {
			return err
		}
		fmt.Println(number)
	}
}

// killedWriter has a program write to an archive, kills it in the midst, and returns how many entries it had told of.
func killedWriter(t *testing.T, location string, after int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), writeInto+"="+location), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if last == after {
			_ = cmd.Process.Kill() // what it has told meanwhile is read to the end
		}
	}
	_ = cmd.Wait()
	if last < after {
		t.Fatalf("it ended after %d entries", last)
	}
	return last
}

func TestWhatWasWrittenSurvivesAKill(t *testing.T) {
	t.Parallel()
	location := "sqlite://" + filepath.Join(t.TempDir(), "log.db")
	for round := 1; round <= 3; round++ {
		last := killedWriter(t, location, 40*round)
		d := open(t, location)
		if got := len(found(t, d, archive.Query{})); got < last {
			t.Errorf("round %d: %d entries are left of %d", round, got, last)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNobodyElseReadsTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, open(t, "sqlite://"+filepath.Join(dir, "log.db")), told(1))
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", f.Name(), info.Mode())
		}
	}
}

func TestAStoreThatIsAwayIsTriedAnew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "volume")
	d := open(t, "sqlite://"+filepath.Join(dir, "log.db"))
	n := told(1)
	e, err := archive.NewEntry(&n)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), []archive.Entry{e}); !errors.Is(err, os.ErrNotExist) || !archive.Unavailable(err) {
		t.Fatalf("there is no folder, and Put says: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stored(t, d, n)
	if got := len(found(t, d, archive.Query{})); got != 1 {
		t.Errorf("there are %d", got)
	}
}

func TestAFileThatIsNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, "sqlite://"+path)
	if _, err := d.Get(t.Context(), "a", "b"); err == nil || !strings.Contains(err.Error(), "not a database") || !archive.Unavailable(err) {
		t.Error(err)
	}
}
