// SPDX-License-Identifier: Apache-2.0

//go:build interop

package archive_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/internal/archive"
)

// patience is how long the server may take for what it does in an instant on a machine that has nothing else to do.
const patience = 60 * time.Second

// password is the one of the server's only user.
const password = "pg-hunter2"

// server is a PostgreSQL of the test's own, as Debian packages it.
type server struct {
	bin, dir string
	port     int
	// as is who runs it, as it refuses to be run by root.
	as      *syscall.Credential
	cmd     *exec.Cmd
	done    chan struct{}
	guard   *exec.Cmd
	numbers atomic.Int32
}

// programs is the folder with PostgreSQL's programs.
func programs(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Fatal("PostgreSQL is missing: apt-get install postgresql")
	}
	return filepath.Dir(found[0])
}

// nobody is whom root runs the server as.
func nobody(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	who, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// newServer makes a server and starts it.
func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{bin: programs(t), as: nobody(t)}
	dir, err := os.MkdirTemp("", "tocsin-pg-")
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if s.as != nil {
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	for name, content := range map[string]string{
		"password": password, "passfile": fmt.Sprintf("127.0.0.1:%d:*:tocsin:%s\n", s.port, password),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "passfile"), 0o600); err != nil {
		t.Fatal(err)
	}
	initdb := s.command("initdb", "-D", s.data(), "-U", "tocsin", "-A", "scram-sha-256", "--pwfile", filepath.Join(dir, "password"),
		"-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start(t)
	t.Cleanup(func() { s.crash(t) })
	return s
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.as}
	return cmd
}

// start starts the server, and has it ended also where the test hangs or is killed: what the guard reads from never says
// anything, but ends with us.
func (s *server) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories="+s.dir, "-c", "max_connections=200")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, done := s.cmd, make(chan struct{})
	s.done = done
	go func() { _ = cmd.Wait(); close(done) }()
	s.guard = exec.Command("sh", "-c", `read _; kill -QUIT "$0"`, strconv.Itoa(cmd.Process.Pid))
	s.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := s.guard.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.guard.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		err := s.try()
		if err == nil {
			return
		}
		select {
		case <-s.done:
		case <-time.After(50 * time.Millisecond):
			if time.Now().Before(deadline) {
				continue
			}
		}
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("PostgreSQL does not answer: %v\n%s", err, said)
	}
}

// crash ends the server as if the machine had stopped: the log of writes alone tells then what was written.
func (s *server) crash(t testing.TB) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Error("PostgreSQL does not end")
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	_ = s.guard.Process.Kill()
	_ = s.guard.Wait()
}

func (s *server) location(database string) string {
	return fmt.Sprintf("postgres://tocsin@127.0.0.1:%d/%s?passfile=%s", s.port, database, filepath.Join(s.dir, "passfile"))
}

// admin runs statements in a database.
func (s *server) admin(ctx context.Context, database string, statements ...string) error {
	db, err := sql.Open("pgx", s.location(database))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.admin(ctx, "postgres", "SELECT 1")
}

// database makes an empty one and returns where it is.
func (s *server) database(t testing.TB, options ...string) string {
	t.Helper()
	name := fmt.Sprintf("log%d", s.numbers.Add(1))
	if err := s.admin(t.Context(), "postgres", "CREATE DATABASE "+name+" TEMPLATE template0 "+strings.Join(options, " ")); err != nil {
		t.Fatal(err)
	}
	return s.location(name)
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	t.Run("store", func(t *testing.T) {
		testStore(t, func(t testing.TB) *archive.Database { return open(t, s.database(t)) })
	})
	t.Run("replicas that start at once", func(t *testing.T) { testReplicas(t, s.database(t)) })
	t.Run("a newer schema is refused", func(t *testing.T) {
		location := s.database(t)
		stored(t, open(t, location), told(1))
		if err := s.admin(t.Context(), fmt.Sprintf("log%d", s.numbers.Load()), "INSERT INTO notification_archive_schema VALUES (99)"); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, location).Get(t.Context(), "a", "b"); !errors.Is(err, archive.ErrNewerSchema) {
			t.Error(err)
		}
	})
	t.Run("a database that is not UTF-8", func(t *testing.T) {
		location := s.database(t, "ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'")
		if _, err := open(t, location).Get(t.Context(), "a", "b"); err == nil || !strings.Contains(err.Error(), "must have UTF8") {
			t.Error(err)
		}
	})
	t.Run("a wrong password is not shown", func(t *testing.T) {
		passfile := filepath.Join(t.TempDir(), "passfile")
		if err := os.WriteFile(passfile, []byte("*:*:*:*:wrong-"+password), 0o600); err != nil {
			t.Fatal(err)
		}
		location := strings.Replace(s.database(t), filepath.Join(s.dir, "passfile"), passfile, 1)
		_, err := open(t, location).Get(t.Context(), "a", "b")
		if err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), password) {
			t.Error(err)
		}
	})
	t.Run("what was written survives a kill of the writer", func(t *testing.T) {
		location := s.database(t)
		last := killedWriter(t, location, 50)
		if got := len(found(t, open(t, location), archive.Query{})); got < last {
			t.Errorf("%d entries are left of %d", got, last)
		}
	})
}

// testReplicas has several managers open an empty database at the same moment and write the same entries.
func testReplicas(t *testing.T, location string) {
	const replicas = 6
	var all sync.WaitGroup
	for range replicas {
		d := open(t, location)
		all.Go(func() {
			for from := range 3 {
				var entries []archive.Entry
				for number := range 50 {
					n := told(from*25 + (number*7)%50) // in another order each time
					e, err := archive.NewEntry(&n)
					if err != nil {
						t.Error(err)
						return
					}
					entries = append(entries, e)
				}
				if err := d.Put(t.Context(), entries); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if names := found(t, open(t, location), archive.Query{}); len(names) != 100 {
		t.Errorf("there are %d, want 100", len(names))
	}
}

// TestPostgreSQLIsAwayAndBack crashes the server three times while somebody writes and tries again.
func TestPostgreSQLIsAwayAndBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := open(t, s.database(t))
	stored(t, d, told(0))
	stop, failed := make(chan struct{}), make(chan error, 1)
	var written atomic.Int64
	want := map[types.UID]int64{"uid-00000": 1000}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for number := 1; ; number++ {
			n := told(number)
			e, _ := archive.NewEntry(&n)
			for {
				err := d.Put(t.Context(), []archive.Entry{e})
				if err == nil {
					break
				}
				select {
				case failed <- err:
				default:
				}
				time.Sleep(10 * time.Millisecond)
			}
			want[n.UID] = int64(1000 + number)
			written.Store(int64(number))
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	progress := func() {
		t.Helper()
		from := written.Load()
		for deadline := time.Now().Add(patience); written.Load() < from+20; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing more was written after %d", from)
			}
		}
	}
	for range 3 {
		progress()
		s.crash(t)
		select {
		case err := <-failed:
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error shows the password: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("the server is away, and nobody notices")
		}
		s.start(t)
	}
	progress()
	close(stop)
	<-done
	uids := make([]types.UID, 0, len(want))
	for uid := range want {
		uids = append(uids, uid)
	}
	got, err := d.Revisions(t.Context(), uids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
