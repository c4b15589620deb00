// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-dev/tocsin/internal/mx"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// cap of an attempt, and a step that may take almost as long.
const (
	attempt  = 15 * time.Minute
	longStep = 10 * time.Minute
)

// However long a step may take, those who hang leave time for the servers after them.
func TestServersThatHangLeaveTimeForTheOthers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hanging int
		script  fakesmtp.Script
	}{
		"one":               {1, fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()}},
		"two":               {2, fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()}},
		"many":              {15, fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()}},
		"at the final step": {3, fakesmtp.Script{fakesmtp.Data: fakesmtp.Hang()}},
		"one step after another": {2, fakesmtp.Script{
			fakesmtp.Connect: fakesmtp.Then(fakesmtp.Pause(longStep/2), fakesmtp.Reply("220 ok")),
			fakesmtp.Ehlo:    fakesmtp.Then(fakesmtp.Pause(longStep/2), fakesmtp.Reply("250 ok")),
		}},
	} {
		for _, pooled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pooled %t", name, pooled), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					servers, names := network{"192.0.2.99:25": fakesmtp.NewScript(nil)}, []string{}
					for i := range tc.hanging {
						names = append(names, fmt.Sprintf("192.0.2.%d", i))
						servers[names[i]+":25"] = fakesmtp.NewScript(tc.script)
					}
					config := smtp.Config{Servers: append(names, "192.0.2.99"), Timeout: longStep, Dial: servers.dial}
					if pooled {
						config.Pool, config.Key = newPool(t), "c@1"
					}
					ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), attempt)
					defer cancel()
					checkReason(t, newSender(t, config).Send(ctx, alert()), notify.ReasonAccepted)
					for _, name := range names {
						servers[name+":25"].WaitClosed()
					}
				})
			})
		}
	}
}

func TestHostsOfADomainShareItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		servers := network{"192.0.2.99:25": fakesmtp.NewScript(nil)}
		var all []mx.Host
		for i := range 10 {
			address := fmt.Sprintf("192.0.2.%d", i)
			all = append(all, host(fmt.Sprintf("mx%d.example", i), address))
			servers[address+":25"] = fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()})
		}
		ctx, cancel := context.WithTimeout(t.Context(), attempt)
		defer cancel()
		result := newSender(t, smtp.Config{
			Servers: []string{"example.com", "192.0.2.99"}, Timeout: longStep, Dial: servers.dial, MX: zone{"example.com:25": hosts(all...)},
		}).Send(ctx, alert())
		checkReason(t, result, notify.ReasonAccepted)
		for address, server := range servers {
			if server.Connections() != 1 {
				t.Errorf("%s was asked %d times", address, server.Connections())
			}
		}
	})
}

func TestTimeThatWasSharedIsToldAsSuch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), attempt)
		defer cancel()
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Mail: fakesmtp.Hang()})
		result := newSender(t, smtp.Config{Servers: []string{"a.example", "b.example"}, Timeout: longStep, Dial: server.Dial}).Send(ctx, alert())
		checkReason(t, result, notify.ReasonTimeout)
		const want = "a.example:25: MAIL: not done after 7m30s, its share of the time of an attempt; b.example:25: MAIL: "
		if !strings.HasPrefix(result.Message, want) || !result.Temporary {
			t.Errorf("temporary is %t, message is %q, want %q", result.Temporary, result.Message, want)
		}
		server.WaitClosed()
	})
}

func TestWaitingForAPlaceTakesNoMoreThanAShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		servers := network{
			"192.0.2.1:25": fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Mail: fakesmtp.Hang()}), "192.0.2.2:25": fakesmtp.NewScript(nil),
		}
		pool := newPool(t)
		config := smtp.Config{Servers: []string{"192.0.2.1"}, Timeout: attempt, Dial: servers.dial, Pool: pool, Key: "c@1"}
		var sending sync.WaitGroup
		for range 3 {
			sending.Go(func() { checkReason(t, newSender(t, config).Send(t.Context(), alert()), notify.ReasonTimeout) })
		}
		synctest.Wait()
		config.Servers = append(config.Servers, "192.0.2.2")
		ctx, cancel := context.WithTimeout(t.Context(), attempt)
		defer cancel()
		checkReason(t, newSender(t, config).Send(ctx, alert()), notify.ReasonAccepted)
		sending.Wait()
	})
}
