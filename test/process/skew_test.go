// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// The clock of a process cannot be set: Go asks the kernel. So it is the server's clock that seems to be ahead, by its
// answers' Dates. What dampers make of it, controllers' tests show.
func TestTheClockIsThatOfTheAPIServersAnswers(t *testing.T) {
	const ahead = 5 * time.Minute
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	metrics := freeAddress(t)
	p := start(t, "--kubeconfig="+behindProxy(t, ahead), "--metrics-bind-address="+metrics)
	c := condition(ns, "SingleRiskEvent")
	k8s.Create(t, channel(ns, server.Port()), c)
	awaitReady(t, c)
	k8s.Create(t, detection(ns, "ws"))

	n := awaitState(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	if started := n.Status.Deliveries[0].Attempts[0].StartTime; started.Sub(n.CreationTimestamp.Time) < ahead/2 {
		t.Errorf("the attempt began at %s, by the machine's clock; the notification was created at %s, by it as well",
			started, n.CreationTimestamp)
	}
	if out := p.out.String(); strings.Count(out, "Clock of this machine differs") != 1 {
		t.Error("the log does not tell once that the clocks differ")
	}
	cluster.Eventually(t, "the metric", func(ctx context.Context) error {
		offset, err := readOffset(ctx, "http://"+metrics+"/metrics")
		if err == nil && offset.Round(time.Minute) != ahead {
			err = fmt.Errorf("it is %s, want about %s", offset, ahead)
		}
		return err
	})
}

// behindProxy returns a kubeconfig for a proxy in front of the API server that adds to the Date of each answer.
func behindProxy(t *testing.T, ahead time.Duration) string {
	t.Helper()
	to, err := url.Parse(k8s.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(k8s.Config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			date, err := http.ParseTime(r.Header.Get("Date"))
			r.Header.Set("Date", date.Add(ahead).Format(http.TimeFormat))
			return err
		},
	})
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	config := clientcmdapi.NewConfig()
	config.Clusters["proxy"] = &clientcmdapi.Cluster{Server: proxy.URL}
	config.AuthInfos["manager"] = &clientcmdapi.AuthInfo{Impersonate: serviceAccount}
	config.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "manager"}
	config.CurrentContext = "proxy"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

var offsetMetric = regexp.MustCompile(`(?m)^tocsin_clock_offset_seconds (\S+)$`)

func readOffset(ctx context.Context, url string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	match := offsetMetric.FindSubmatch(text)
	if match == nil {
		return 0, errors.New("it is not there")
	}
	seconds, err := strconv.ParseFloat(string(match[1]), 64)
	return time.Duration(seconds * float64(time.Second)), err
}
