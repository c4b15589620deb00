// SPDX-License-Identifier: Apache-2.0

// Package postgres gives tests a real PostgreSQL, as Debian packages it.
package postgres

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long the server may take for what it does in an instant on a machine that has nothing else to do.
const patience = 60 * time.Second

// Password is the one of the server's only user.
const Password = "pg-hunter2"

// Server is a PostgreSQL of the test's own, as Debian packages it.
type Server struct {
	bin string
	// Dir is the server's folder.
	Dir  string
	port int
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

// New makes a server and starts it.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{bin: programs(t), as: nobody(t)}
	dir, err := os.MkdirTemp("", "tocsin-pg-")
	if err != nil {
		t.Fatal(err)
	}
	s.Dir = dir
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
		"password": Password, "passfile": fmt.Sprintf("127.0.0.1:%d:*:tocsin:%s\n", s.port, Password),
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
	s.Start(t)
	t.Cleanup(func() { s.Crash(t) })
	return s
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.Env = s.Dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.as}
	return cmd
}

// Start starts the server, and has it ended also where the test hangs or is killed: what the guard reads from never says
// anything, but ends with us.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories="+s.Dir, "-c", "max_connections=200")
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

// Crash ends the server as if the machine had stopped: the log of writes alone tells then what was written.
func (s *Server) Crash(t testing.TB) {
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

func (s *Server) location(database string) string {
	return fmt.Sprintf("postgres://tocsin@127.0.0.1:%d/%s?passfile=%s", s.port, database, filepath.Join(s.Dir, "passfile"))
}

// Admin runs statements in a database.
func (s *Server) Admin(ctx context.Context, database string, statements ...string) error {
	for _, statement := range statements {
		psql := exec.CommandContext(ctx, filepath.Join(s.bin, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement,
			fmt.Sprintf("postgres://tocsin@127.0.0.1:%d/%s", s.port, database))
		psql.Env = append(os.Environ(), "PGPASSWORD="+Password)
		if out, err := psql.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

func (s *Server) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.Admin(ctx, "postgres", "SELECT 1")
}

// Database makes an empty one and returns its name and where it is.
func (s *Server) Database(t testing.TB, options ...string) (name, location string) {
	t.Helper()
	name = fmt.Sprintf("log%d", s.numbers.Add(1))
	if err := s.Admin(t.Context(), "postgres", "CREATE DATABASE "+name+" TEMPLATE template0 "+strings.Join(options, " ")); err != nil {
		t.Fatal(err)
	}
	return name, s.location(name)
}
