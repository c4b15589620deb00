// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/archive"
)

// writeInto is the variable that makes the test program one that writes to the archive it names, until it is killed.
const writeInto = "TOCSIN_TEST_WRITE_INTO"

// readFrom is the variable that makes the test program one that reads from the archive it names, on a
// volume that seems full.
const readFrom = "TOCSIN_TEST_READ_FROM"

func TestMain(m *testing.M) {
	if location := os.Getenv(readFrom); location != "" {
		if err := readWithoutRoom(location); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
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

// readWithoutRoom reads where no file grows, but for the one that SQLite keeps among its programs, which it has emptied before.
func readWithoutRoom(location string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
		return err
	}
	d, err := archive.New(location)
	if err != nil {
		return err
	}
	page, err := d.Find(context.Background(), archive.Query{})
	if err == nil && len(page.Notifications) == 0 {
		err = errors.New("nothing was found")
	}
	return err
}

// TestAFullVolumeIsReadAfterAKill as far as it was written, also by a manager that has just begun.
func TestAFullVolumeIsReadAfterAKill(t *testing.T) {
	t.Parallel()
	location := "sqlite://" + filepath.Join(t.TempDir(), "log.db")
	killedWriter(t, location, 500)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), readFrom+"="+location)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
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
