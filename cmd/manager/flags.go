// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

// options are what the command line says.
type options struct {
	metricsAddress     string
	probeAddress       string
	leaderElect        bool
	leaseNamespace     string
	leaseDuration      time.Duration
	controllers        controllers.Options
	eventMemory        resource.QuantityValue
	notificationMemory resource.QuantityValue
	archive            string
	archiveAddress     string
	zap                zap.Options
}

const usage = `Tocsin's manager watches SecurityEvents, decides by the NotificationConditions which of them matter, and tells
people through the NotificationChannels. It needs the CustomResourceDefinitions of config/crd in the cluster.

Usage:
  manager [flags]

The cluster is that of --kubeconfig, else of the KUBECONFIG variable, else the one it runs in.

Flags:
`

func parseFlags(flags *flag.FlagSet, args []string) (*options, error) {
	o := &options{}
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	config.RegisterFlags(flags)
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080",
		"`address` that serves Prometheus metrics at /metrics; 0 serves none")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "`address` that serves /healthz and /readyz")
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"let one of several managers lead; the others take over when it is gone")
	flags.StringVar(&o.leaseNamespace, "leader-election-namespace", "",
		"`namespace` of the Lease (default: the namespace that the manager runs in)")
	flags.DurationVar(&o.leaseDuration, "leader-election-lease", 8*time.Second,
		"how long a leader that was killed keeps its lease; another one takes over a moment later")
	flags.StringVar(&o.controllers.Namespace, "namespace", ownNamespace(),
		"the operator's own `namespace`, where conditions may watch other namespaces too (default: the one it runs in)")
	flags.Func("computers", "`number` of computers that threshold.auto goes by (default: those in the events that are kept)",
		func(value string) error {
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 1 {
				return errors.New("must be a number of at least 1")
			}
			o.controllers.Computers = int32(n)
			return nil
		})
	flags.IntVar(&o.controllers.DeliveryWorkers, "delivery-workers", controllers.DefaultDeliveryWorkers,
		"deliveries under way at once; a channel gets a sixteenth of them, a namespace a quarter")
	flags.DurationVar(&o.controllers.Grace, "delivery-grace", controllers.DefaultGrace,
		"how long a delivery under way may go on after the manager was told to stop")
	flags.StringVar(&o.controllers.HelloName, "smtp-hello", "",
		"`name` to say hello to mail servers as (default: the host's name)")
	flags.Var(&o.controllers.Exec.Namespaces, "exec-namespaces",
		"namespaces in which channels may run programs, a `list` with * as wildcard; empty: in none")
	flags.Var(&o.controllers.Exec.Images, "exec-images",
		"images that such programs may use, a `list` with * as wildcard; a name is compared as the channel writes it; empty: none")
	o.bindRetention(flags)
	o.bindArchive(flags)
	o.zap.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	if o.controllers.DeliveryWorkers < 1 {
		return nil, fmt.Errorf("--delivery-workers is %d; it must be at least 1", o.controllers.DeliveryWorkers)
	}
	if o.leaseDuration < 4*time.Second {
		return nil, fmt.Errorf("--leader-election-lease is %s; it must be at least 4s", o.leaseDuration)
	}
	if err := o.readArchive(); err != nil {
		return nil, err
	}
	return o, o.readRetention()
}

// bindArchive declares the flags of the archive.
func (o *options) bindArchive(flags *flag.FlagSet) {
	flags.StringVar(&o.archive, "archive", "",
		"`database` that keeps finished notifications for good: sqlite:///path/file.db or postgres://user@host/database, whose "+
			"password is in PGPASSWORD or in the file PGPASSFILE (default: none)")
	flags.StringVar(&o.archiveAddress, "archive-bind-address", ":8443",
		"`address` that serves the archive to readers; 0 serves none")
}

// readArchive makes the archive that the flags ask for. What was given is never repeated: there may be a password in it.
func (o *options) readArchive() error {
	if o.archive == "" {
		return nil
	}
	store, err := archive.New(o.archive)
	if err != nil {
		return fmt.Errorf("--archive: %w", err)
	}
	o.controllers.Archive = store
	if o.archiveAddress != "0" {
		o.controllers.ArchiveAddress = o.archiveAddress
	}
	return nil
}

// bindRetention declares the flags that say what is kept.
func (o *options) bindRetention(flags *flag.FlagSet) {
	o.controllers.EventRetention, o.controllers.NotificationRetention = retention.DefaultEvents(), retention.DefaultNotifications()
	o.eventMemory.Quantity = *resource.NewQuantity(o.controllers.EventRetention.MemoryLimit, resource.BinarySI)
	o.notificationMemory.Quantity = *resource.NewQuantity(o.controllers.NotificationRetention.MemoryLimit, resource.BinarySI)
	flags.Var(&o.controllers.EventRetention.Ages, "event-retention",
		"how long SecurityEvents are kept, by severity; a `list` replaces only what it names")
	flags.Var(&o.controllers.NotificationRetention.Ages, "notification-retention",
		"how long Notifications are kept, by severity; a `list` replaces only what it names")
	flags.IntVar(&o.controllers.EventRetention.Limit, "event-limit", o.controllers.EventRetention.Limit,
		"`number` of SecurityEvents that are kept in the whole cluster; of more, the lowest severity goes first")
	flags.IntVar(&o.controllers.NotificationRetention.Limit, "notification-limit", o.controllers.NotificationRetention.Limit,
		"`number` of Notifications that are kept in the whole cluster; of more, the lowest severity goes first")
	flags.Var(&o.eventMemory, "event-memory-limit",
		"about how much of the manager's memory the SecurityEvents may take, as a `quantity`; of more, the lowest severity goes first")
	flags.Var(&o.notificationMemory, "notification-memory-limit",
		"about how much of each replica's memory the Notifications may take, as a `quantity`; of more, the lowest severity goes first")
}

// readRetention checks what the flags say about what is kept.
func (o *options) readRetention() error {
	for name, limit := range map[string]int{
		"event-limit": o.controllers.EventRetention.Limit, "notification-limit": o.controllers.NotificationRetention.Limit,
	} {
		if limit < retention.MinimumLimit {
			return fmt.Errorf("--%s is %d; it must be at least %d", name, limit, retention.MinimumLimit)
		}
	}
	for name, limit := range map[string]*resource.QuantityValue{
		"event-memory-limit": &o.eventMemory, "notification-memory-limit": &o.notificationMemory,
	} {
		if limit.Cmp(resource.MustParse(retention.MinimumMemory)) < 0 {
			return fmt.Errorf("--%s is %s; it must be at least %s", name, limit.String(), retention.MinimumMemory)
		}
	}
	o.controllers.EventRetention.MemoryLimit = o.eventMemory.Value()
	o.controllers.NotificationRetention.MemoryLimit = o.notificationMemory.Value()
	return nil
}

// ownNamespace is the namespace of the pod that this is, or empty.
func ownNamespace() string {
	if namespace := os.Getenv("POD_NAMESPACE"); namespace != "" {
		return namespace
	}
	namespace, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(namespace))
}

func (o *options) logger() logr.Logger { return zap.New(zap.UseFlagOptions(&o.zap)) }
