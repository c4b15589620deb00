// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// pooled is a sender of a channel at a revision, whose only server is a script.
func pooled(t testing.TB, server *fakesmtp.ScriptServer, pool *smtp.Pool, key string) *smtp.Sender {
	t.Helper()
	return newSender(t, smtp.Config{
		Servers: []string{"mail.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSNone}, Timeout: stepTimeout, Dial: server.Dial,
		Pool: pool, Key: key,
	})
}

// newPool is closed before the bubble ends.
func newPool(t testing.TB) *smtp.Pool {
	pool := &smtp.Pool{}
	t.Cleanup(pool.Close)
	return pool
}

func count(server *fakesmtp.ScriptServer, line string) int {
	n := 0
	for _, heard := range server.Heard() {
		if heard == line {
			n++
		}
	}
	return n
}

func sendAll(t testing.TB, sender *smtp.Sender, n int) {
	t.Helper()
	for range n {
		checkReason(t, send(t, sender, alert()), notify.ReasonAccepted)
	}
}

func TestABurstGoesOverOneConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH CRAM-MD5"),
			fakesmtp.Auth: fakesmtp.Reply("235 2.7.0 welcome"),
		})
		pool := newPool(t)
		for range 5 { // a sender each, as the manager makes them
			sender := newSender(t, smtp.Config{
				Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: credentials(), Pool: pool, Key: "c@1",
			})
			sendAll(t, sender, 1)
		}
		if server.Connections() != 1 || count(server, "EHLO client.example") != 1 || count(server, "AUTH CRAM-MD5") != 1 {
			t.Errorf("%d connections, heard %q", server.Connections(), server.Heard())
		}
		if resets := count(server, "RSET"); resets != 4 || count(server, "QUIT") != 0 {
			t.Errorf("%d times RSET, want one between each two messages and no QUIT", resets)
		}
	})
}

func TestWithoutAPoolEachMessageHasItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(nil)
		sendAll(t, pooled(t, server, nil, "c@1"), 3)
		server.WaitClosed()
		if server.Connections() != 3 || count(server, "QUIT") != 3 {
			t.Errorf("%d connections, %d times QUIT", server.Connections(), count(server, "QUIT"))
		}
	})
}

func TestAnIdleConnectionIsClosedAfterHalfAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(nil)
		sender := pooled(t, server, newPool(t), "c@1")
		sendAll(t, sender, 1)
		time.Sleep(29 * time.Second)
		sendAll(t, sender, 1)
		if server.Connections() != 1 {
			t.Errorf("%d connections, want the first to be used again", server.Connections())
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if server.Open() != 1 || count(server, "QUIT") != 0 {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if server.Open() != 0 || count(server, "QUIT") != 1 {
			t.Errorf("%d connections are open, %d times QUIT", server.Open(), count(server, "QUIT"))
		}
		sendAll(t, sender, 1)
	})
}

func TestAServerThatHangsAtQuitDoesNotKeepAnIdleConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Quit: fakesmtp.Hang()})
		sendAll(t, pooled(t, server, newPool(t), "c@1"), 1)
		time.Sleep(33 * time.Second)
		synctest.Wait()
		if server.Open() != 0 {
			t.Errorf("%d connections are open", server.Open())
		}
	})
}

func TestAConnectionCarriesAHundredMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(nil)
		sender := pooled(t, server, newPool(t), "c@1")
		sendAll(t, sender, 100)
		synctest.Wait()
		if server.Connections() != 1 || server.Open() != 0 {
			t.Errorf("%d connections, %d open", server.Connections(), server.Open())
		}
		sendAll(t, sender, 1)
		if server.Connections() != 2 {
			t.Errorf("%d connections, want another for the next", server.Connections())
		}
	})
}

func TestThereAreThreeConnectionsAtOnceAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.FinalDot: fakesmtp.Then(fakesmtp.Pause(time.Second), fakesmtp.Reply("250 2.0.0 ok")),
		})
		pool := newPool(t)
		var sending sync.WaitGroup
		for range 30 {
			sending.Go(func() { sendAll(t, pooled(t, server, pool, "c@1"), 1) })
		}
		began := time.Now()
		sending.Wait()
		if server.MostAtOnce() != 3 || server.Connections() != 3 {
			t.Errorf("%d connections, %d at once", server.Connections(), server.MostAtOnce())
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %s, want three at a time", took)
		}
	})
}

func TestThoseWhoWaitForAConnectionStopAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Mail: fakesmtp.Hang()})
		pool := newPool(t)
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		for range 3 {
			sending.Go(func() { _ = pooled(t, server, pool, "c@1").Send(ctx, alert()) })
		}
		synctest.Wait()
		checkCancel(t, pooled(t, server, pool, "c@1"), notify.ReasonCancelled)
		if server.Connections() != 3 {
			t.Errorf("%d connections", server.Connections())
		}
		cancel()
		sending.Wait()
	})
}

func TestAClosedPoolKeepsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(nil)
		pool := &smtp.Pool{}
		sender := pooled(t, server, pool, "c@1")
		sendAll(t, sender, 1)
		pool.Close()
		synctest.Wait()
		if server.Open() != 0 || count(server, "QUIT") != 1 {
			t.Errorf("%d open, %d times QUIT", server.Open(), count(server, "QUIT"))
		}
		sendAll(t, sender, 1)
		synctest.Wait()
		if server.Open() != 0 || server.Connections() != 2 {
			t.Errorf("%d open of %d", server.Open(), server.Connections())
		}
		pool.Close()
	})
}

func TestAnotherRevisionOfTheChannelClosesTheConnectionsOfTheOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old, other := fakesmtp.NewScript(nil), fakesmtp.NewScript(nil)
		slow := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.FinalDot: fakesmtp.Then(fakesmtp.Pause(time.Second), fakesmtp.Reply("250 2.0.0 ok")),
		})
		pool := newPool(t)
		sendAll(t, pooled(t, old, pool, "mail@1"), 1)
		sendAll(t, pooled(t, other, pool, "mail-2@1"), 1)
		sending := make(chan notify.Result, 1)
		config := smtp.Config{
			Servers: []string{"slow.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSNone}, Timeout: stepTimeout, Dial: slow.Dial,
			Pool: pool, Key: "mail@1",
		}
		go func() { sending <- send(t, newSender(t, config), alert()) }()
		synctest.Wait()

		next := fakesmtp.NewScript(nil)
		sendAll(t, pooled(t, next, pool, "mail@2"), 1)
		synctest.Wait()
		if old.Open() != 0 || other.Open() != 1 || next.Open() != 1 {
			t.Errorf("open: %d of the old, %d of another channel, %d of the new", old.Open(), other.Open(), next.Open())
		}
		checkReason(t, <-sending, notify.ReasonAccepted)
		synctest.Wait()
		if slow.Open() != 0 {
			t.Error("the connection that was in use is kept")
		}
	})
}

// An attempt that began before the channel was changed, and goes on to another server afterwards, is none of the new
// revision's business.
func TestALateUserOfAnOldRevisionLeavesTheNewOneAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Connect: fakesmtp.Then(fakesmtp.Pause(time.Second), fakesmtp.Reply("421 4.3.2 down"))})
		server, pool := fakesmtp.NewScript(nil), newPool(t)
		config := func(key string, servers ...string) smtp.Config {
			return smtp.Config{
				Servers: servers, TLS: smtp.TLS{Mode: v1alpha1.TLSNone}, Timeout: stepTimeout, Pool: pool, Key: key,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if strings.HasPrefix(address, "slow.") {
						return slow.Dial(ctx, network, address)
					}
					return server.Dial(ctx, network, address)
				},
			}
		}
		late := make(chan notify.Result, 1)
		old := newSender(t, config("mail@1", "slow.example", "mail.example"))
		go func() { late <- send(t, old, alert()) }()
		synctest.Wait()
		next := newSender(t, config("mail@2", "mail.example"))
		sendAll(t, next, 1)
		checkReason(t, <-late, notify.ReasonAccepted)
		synctest.Wait()
		if server.Connections() != 2 || server.Open() != 1 {
			t.Errorf("%d connections, %d open; want the old one's closed, and the new one's kept", server.Connections(), server.Open())
		}
		sendAll(t, old, 1) // nor may one that begins late, as its channel was read early
		sendAll(t, next, 2)
		synctest.Wait()
		if server.Connections() != 3 || server.Open() != 1 {
			t.Errorf("%d connections, %d open; want that of the new revision to be used again", server.Connections(), server.Open())
		}
	})
}

// slowly is a server that takes a second for each message.
func slowly() *fakesmtp.ScriptServer {
	return fakesmtp.NewScript(fakesmtp.Script{
		fakesmtp.FinalDot: fakesmtp.Then(fakesmtp.Pause(time.Second), fakesmtp.Reply("250 2.0.0 ok")),
	})
}

// census counts connections where they are made, as a server notices their end a little later.
type census struct{ open, most atomic.Int32 }

func (c *census) count(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if n := c.open.Add(1); n > c.most.Load() {
			c.most.Store(n)
		}
		return &countedConn{Conn: conn, close: sync.OnceFunc(func() { c.open.Add(-1) })}, err
	}
}

type countedConn struct {
	net.Conn
	close func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.close()
	return c.Conn.Close()
}

func TestThereAreTenConnectionsToAServerAtOnceAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, other, pool := slowly(), slowly(), newPool(t)
		var sending sync.WaitGroup
		var seen census
		for i := range 60 {
			config := smtp.Config{
				Servers: []string{[]string{"mail.example", "Mail.Example"}[i%2]}, Timeout: stepTimeout, Dial: seen.count(server.Dial),
				Pool: pool, Key: fmt.Sprintf("c%d@1", i%20),
			}
			sending.Go(func() { sendAll(t, newSender(t, config), 1) })
		}
		sending.Go(func() {
			began := time.Now()
			config := smtp.Config{Servers: []string{"other.example"}, Timeout: stepTimeout, Dial: other.Dial, Pool: pool, Key: "c0@1"}
			sendAll(t, newSender(t, config), 1)
			if took := time.Since(began); took != time.Second {
				t.Errorf("another server took %s", took)
			}
		})
		began := time.Now()
		sending.Wait()
		if seen.most.Load() != 10 {
			t.Errorf("%d connections at once", seen.most.Load())
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("took %s, want ten at a time", took)
		}
	})
}

func TestIdleConnectionsOfOtherChannelsGiveWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, pool := fakesmtp.NewScript(nil), newPool(t)
		began := time.Now()
		for i := range 12 {
			sendAll(t, pooled(t, server, pool, fmt.Sprintf("c%d@1", i)), 1)
			time.Sleep(time.Millisecond)
		}
		if server.Open() != 10 || count(server, "QUIT") != 2 {
			t.Errorf("%d open, %d times QUIT", server.Open(), count(server, "QUIT"))
		}
		sendAll(t, pooled(t, server, pool, "c2@1"), 1)
		if server.Connections() != 12 {
			t.Errorf("%d connections, want those that were idle longest to give way, and no other", server.Connections())
		}
		if took := time.Since(began); took != 12*time.Millisecond {
			t.Errorf("took %s", took)
		}
	})
}

// A connection that becomes free while another channel waits is not kept.
func TestAChannelDoesNotKeepWhatAnotherWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, pool := slowly(), newPool(t)
		var sending sync.WaitGroup
		for i := range 10 {
			sending.Go(func() { sendAll(t, pooled(t, server, pool, fmt.Sprintf("c%d@1", i/3)), 1) })
		}
		synctest.Wait()
		began := time.Now()
		sendAll(t, pooled(t, server, pool, "last@1"), 1)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("waited for %s, want the turn after the first", took)
		}
		sending.Wait()
	})
}

func TestThoseWhoWaitForAServerStopAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, pool := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Mail: fakesmtp.Hang()}), newPool(t)
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		for i := range 10 {
			sending.Go(func() { _ = pooled(t, server, pool, fmt.Sprintf("c%d@1", i)).Send(ctx, alert()) })
		}
		synctest.Wait()
		checkCancel(t, pooled(t, server, pool, "last@1"), notify.ReasonCancelled)
		if server.Connections() != 10 {
			t.Errorf("%d connections", server.Connections())
		}
		cancel()
		sending.Wait()
	})
}

func TestADeadConnectionIsReplacedAndNoFailure(t *testing.T) {
	t.Parallel()
	again := func(step fakesmtp.Step, action fakesmtp.Action) fakesmtp.Script {
		return fakesmtp.Script{step: fakesmtp.InTurn(fakesmtp.AsItShould(step), action, fakesmtp.AsItShould(step))}
	}
	tests := map[string]struct {
		script fakesmtp.Script
		within time.Duration
	}{
		"closed meanwhile":      {fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.InTurn(fakesmtp.Then(fakesmtp.Reply("250 2.0.0 ok"), fakesmtp.Drop()), fakesmtp.AsItShould(fakesmtp.FinalDot))}, 0},
		"closed with a word":    {fakesmtp.Script{fakesmtp.Rset: fakesmtp.Then(fakesmtp.Reply("421 4.4.2 idle for too long"), fakesmtp.Drop())}, 0},
		"RSET is not known":     {fakesmtp.Script{fakesmtp.Rset: fakesmtp.Reply("500 5.5.1 what?")}, 0},
		"closed at RSET":        {fakesmtp.Script{fakesmtp.Rset: fakesmtp.Drop()}, 0},
		"silent at RSET":        {fakesmtp.Script{fakesmtp.Rset: fakesmtp.Hang()}, 5 * time.Second},
		"closed at MAIL":        {again(fakesmtp.Mail, fakesmtp.Drop()), 0},
		"closing down at MAIL":  {again(fakesmtp.Mail, fakesmtp.Reply("421 4.7.0 enough for one connection")), 0},
		"silent at MAIL":        {again(fakesmtp.Mail, fakesmtp.Hang()), stepTimeout},
		"nonsense at MAIL":      {again(fakesmtp.Mail, fakesmtp.Reply("hello?")), 0},
		"endless talk at RSET":  {fakesmtp.Script{fakesmtp.Rset: fakesmtp.Flood("250-x\r\n")}, 0},
		"NUL bytes for a while": {fakesmtp.Script{fakesmtp.Rset: fakesmtp.Flood("\x00")}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(tc.script)
				sender := pooled(t, server, newPool(t), "c@1")
				sendAll(t, sender, 1)
				synctest.Wait()
				result := sendWithin(t, tc.within, sender, alert())
				checkReason(t, result, notify.ReasonAccepted)
				if result.Message != "250 2.0.0 queued as FAKE1" {
					t.Errorf("message is %q", result.Message)
				}
				synctest.Wait()
				if server.Connections() != 2 || server.Open() != 1 {
					t.Errorf("%d connections, %d open", server.Connections(), server.Open())
				}
			})
		})
	}
}

func TestVerdictsOnAConnectionThatWasUsedBeforeStand(t *testing.T) {
	t.Parallel()
	again := func(step fakesmtp.Step, reply string) fakesmtp.Script {
		return fakesmtp.Script{step: fakesmtp.InTurn(fakesmtp.AsItShould(step), fakesmtp.Reply(reply), fakesmtp.AsItShould(step))}
	}
	for name, tc := range map[string]struct {
		script fakesmtp.Script
		want   notify.Reason
	}{
		"the sender refused":        {again(fakesmtp.Mail, "550 5.7.1 no"), notify.ReasonSenderRefused},
		"the sender put off":        {again(fakesmtp.Mail, "451 4.7.1 later"), notify.ReasonDeferred},
		"the recipient refused":     {again(fakesmtp.Rcpt, "550 5.1.1 no"), notify.ReasonRefused},
		"the message refused":       {again(fakesmtp.FinalDot, "550 5.7.1 no"), notify.ReasonMessageRefused},
		"the message not asked for": {again(fakesmtp.Data, "451 4.3.0 later"), notify.ReasonDeferred},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(tc.script)
				sender := pooled(t, server, newPool(t), "c@1")
				sendAll(t, sender, 1)
				checkReason(t, send(t, sender, alert()), tc.want)
				sendAll(t, sender, 1) // RSET has made good what was left half done
				if server.Connections() != 1 {
					t.Errorf("%d connections", server.Connections())
				}
			})
		})
	}
}

func TestAConnectionOfWhichNobodyKnowsWhereItStandsIsNotKept(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script fakesmtp.Script
		want   notify.Reason
	}{
		"nonsense after the final dot": {fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Reply("?")}, notify.ReasonUnknown},
		"nonsense at RCPT":             {fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("?")}, notify.ReasonProtocolError},
		"closing down at DATA":         {fakesmtp.Script{fakesmtp.Data: fakesmtp.Reply("421 4.3.0 bye")}, notify.ReasonServerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(tc.script)
				checkReason(t, send(t, pooled(t, server, newPool(t), "c@1"), alert()), tc.want)
				synctest.Wait()
				if server.Open() != 0 {
					t.Errorf("%d connections are open", server.Open())
				}
			})
		})
	}
}

func TestKeysAndServersNeverShareAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, server := newPool(t), fakesmtp.NewScript(nil)
		for _, key := range []string{"a@1", "b@1"} {
			for _, name := range []string{"mx1.example", "mx2.example"} {
				sender := newSender(t, smtp.Config{Servers: []string{name}, Timeout: stepTimeout, Dial: server.Dial, Pool: pool, Key: key})
				sendAll(t, sender, 2)
			}
		}
		if server.Connections() != 4 {
			t.Errorf("%d connections, want one for each", server.Connections())
		}
	})
}

func TestAServerThatCannotBeReachedTakesNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := newSender(t, smtp.Config{
			Servers: []string{"mail.example"}, Timeout: stepTimeout, Pool: newPool(t), Key: "c@1",
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") },
		})
		for range 10 {
			checkReason(t, send(t, sender, alert()), notify.ReasonConnectionFailed)
		}
	})
}

func TestAPoolLeavesNothingBehind(t *testing.T) {
	server := fakesmtp.StartScript(t, fakesmtp.Script{
		fakesmtp.Mail: fakesmtp.InTurn(fakesmtp.Reply("250 ok"), fakesmtp.Drop(), fakesmtp.Reset(), fakesmtp.Reply("421 bye"), fakesmtp.Reply("250 ok")),
	})
	waitForGoroutines(t)
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	for range 3 {
		pool := &smtp.Pool{}
		var sending sync.WaitGroup
		for i := range 40 {
			config := serverOf(server)
			config.Pool, config.Key = pool, fmt.Sprintf("channel-%d@%d", i%2, i/20)
			sending.Go(func() { _ = send(t, newSender(t, config), alert()) })
		}
		sending.Wait()
		pool.Close()
	}
	server.WaitClosed()
	waitForGoroutines(t)
	// The server's listener and the goroutine that served it are gone by now, too.
	if got := openDescriptors(t); len(got) >= len(descriptors) {
		t.Errorf("descriptors are %q, were %q with the listener", got, descriptors)
	}
	if got := runtime.NumGoroutine(); got >= goroutines {
		t.Errorf("%d goroutines, were %d with the server's", got, goroutines)
	}
}

// openDescriptors are what the process has open, as far as it is the network's.
func openDescriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var sockets []string
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			sockets = append(sockets, target)
		}
	}
	slices.Sort(sockets)
	return sockets
}
