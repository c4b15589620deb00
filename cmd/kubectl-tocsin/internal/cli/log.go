// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// reading is what the verbs that read many objects share.
type reading struct {
	filterFlags
	selected
	chunk int64
	tail  int
}

func (r *reading) addReading(a *App, c *cobra.Command) {
	r.selected.addFlags(a, c)
	c.Flags().Int64Var(&r.chunk, "chunk-size", defaultChunk, "How many objects to ask the API server for at once; 0 for all")
	c.Flags().IntVar(&r.tail, "tail", -1, "How many of the newest to show; -1 for all")
}

func (r *reading) check() error {
	if r.tail < -1 {
		return fmt.Errorf("--tail: %d is no number of objects, nor -1 for all", r.tail)
	}
	return r.selected.check()
}

type logVerb struct {
	reading
	archiveFlags
	watch bool
}

func logCommand(a *App) *cobra.Command {
	v := &logVerb{}
	c := &cobra.Command{
		Use:   "log",
		Short: "Show the notifications, the newest last",
		Long: "Show the notifications of a namespace, the newest last. All criteria must hold; of a list, any. " +
			"What the API server can select by, it does.",
		Example: `  # What is critical, happened since yesterday, and nobody has taken notice of
  kubectl tocsin log --severity Critical --since 24h --acknowledged=false

  # What failed, in all namespaces
  kubectl tocsin log -A --state Failed,PartlyDelivered -o wide

  # A saved filter, and go on showing what comes
  kubectl tocsin log --filter open-critical --watch

  # What was told long ago, if the manager keeps an archive
  kubectl tocsin log --archive --since 365d --severity Critical`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			if v.archive {
				return v.runArchive(c, a)
			}
			return v.run(c, a)
		},
	}
	v.addLog(c)
	a.completeLog(c)
	v.addReading(a, c)
	v.archiveFlags.addFlags(a, c)
	c.Flags().BoolVarP(&v.watch, "watch", "w", false, "Go on showing what is new and what changes")
	return c
}

// entry is an object of a list at its time, as an object or, where that is all that is shown of it, as a row.
type entry struct {
	at     time.Time
	turn   turn
	name   string
	key    any
	object client.Object
	row    []screen.Cell
}

// entries keep the newest, in order.
type entries struct {
	tail int
	list []entry
}

func (e *entries) add(one entry) {
	if e.list = append(e.list, one); e.tail >= 0 && len(e.list) >= 2*e.tail+defaultChunk {
		e.inOrder()
	}
}

// inOrder returns the newest, the newest last.
func (e *entries) inOrder() []entry {
	slices.SortFunc(e.list, func(a, b entry) int {
		return cmp.Or(a.at.Compare(b.at), a.turn.compare(b.turn), cmp.Compare(a.name, b.name))
	})
	if e.tail >= 0 && len(e.list) > e.tail {
		e.list = slices.Clone(e.list[len(e.list)-e.tail:])
	}
	return e.list
}

func (v *logVerb) run(c *cobra.Command, a *App) error {
	ctx := c.Context()
	if err := v.check(); err != nil {
		return err
	}
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	filter, err := v.compiled(ctx, a, cluster, c.Flags())
	if err != nil {
		return err
	}
	namespace, err := v.in(a)
	if err != nil {
		return err
	}
	selectors, err := v.and(filter.Selectors())
	if err != nil {
		return err
	}
	q := query{namespace, selectors, v.chunk}
	found := entries{tail: v.tail}
	seen, err := each(ctx, cluster, &v1alpha1.NotificationList{}, q, func(n *v1alpha1.Notification) error {
		if !filter.Match(n) {
			return nil
		}
		return v.add(&found, n)
	})
	if err != nil {
		return err
	}
	if v.watch && v.by != "" {
		a.note("warning: --watch requested, --sort-by will be ignored for watch events received")
	}
	table := v.newTable(a, v.header()...)
	if !v.watch {
		return v.show(a, table, found.inOrder(), "notifications", namespace, false)
	}
	w := &watching{logVerb: v, App: a, cluster: cluster, query: q, filter: filter, table: table, seen: seen, last: map[string]uint64{}}
	if err := w.tell(found.inOrder()); err != nil {
		return err
	}
	v.sorting = sorting{} // as the warning says
	return w.follow(ctx)
}

// runArchive shows what the archive has.
func (v *logVerb) runArchive(c *cobra.Command, a *App) error {
	if v.watch {
		return &usageError{c, errors.New("give either --archive or --watch: the archive has what is finished, the cluster what is new")}
	}
	if err := v.check(); err != nil {
		return err
	}
	cluster, err := a.Connect() // for the saved filter
	if err != nil {
		return err
	}
	spec, err := v.spec(c.Context(), a, cluster, c.Flags())
	if err != nil {
		return err
	}
	if spec, err = absolute(spec, a.Now()); err != nil {
		return err
	}
	namespace, err := v.in(a)
	if err != nil {
		return err
	}
	reader, err := v.reader(a, namespace)
	if err != nil {
		return err
	}
	if reader.sieve, err = v.sieve(); err != nil {
		return err
	}
	if v.streams() {
		return v.stream(c.Context(), a, reader, spec)
	}
	found := entries{tail: v.tail}
	err = reader.each(c.Context(), spec, v.tail, v.chunk, func(n *v1alpha1.Notification) error { return v.add(&found, n) })
	if err != nil {
		return err
	}
	return v.show(a, v.newTable(a, v.header()...), found.inOrder(), "archived notifications", namespace, false)
}

func (v *logVerb) add(to *entries, n *v1alpha1.Notification) error {
	return v.keep(to, n, logfilter.Time(n), func() []screen.Cell { return v.row(n) })
}

// keep adds an object to what is shown, as far as it is. The page that it came in is not kept.
func (r *reading) keep(to *entries, o client.Object, at time.Time, row func() []screen.Cell) error {
	e := entry{at: at, turn: turnOf(o), name: o.GetNamespace() + "/" + o.GetName()}
	var err error
	if e.key, err = r.key(o); err != nil {
		return err
	}
	if r.table() {
		e.row = row()
	} else if e.row, err = r.brief(o); err != nil {
		return err
	}
	if e.row == nil {
		e.object = o.DeepCopyObject().(client.Object)
		if err := r.typed(e.object); err != nil {
			return err
		}
	}
	to.add(e)
	return nil
}

// show writes what was found: as a table, or as a list; each by itself where more may follow.
func (r *reading) show(a *App, table *screen.Table, found []entry, what, namespace string, more bool) error {
	if err := sorted(&r.sorting, found, func(e entry) any { return e.key }); err != nil {
		return err
	}
	if !r.table() && (len(found) == 0 || found[0].row == nil) {
		return r.objects(a, found, more)
	}
	if len(found) == 0 && !more {
		nowhere(a, what, namespace)
		return nil
	}
	rows := make([][]screen.Cell, 0, len(found))
	for _, e := range found {
		rows = append(rows, e.row)
	}
	if r.table() {
		return table.Write(rows...)
	}
	return r.rows(a, rows)
}

func (r *reading) objects(a *App, found []entry, more bool) error {
	var objects []client.Object
	for _, e := range found {
		objects = append(objects, e.object)
	}
	if !more {
		return r.list(a, objects)
	}
	for _, object := range objects {
		if err := r.one(a, object); err != nil {
			return err
		}
	}
	return nil
}

func nowhere(a *App, what, namespace string) {
	if namespace == "" {
		a.note("No %s found.", what)
		return
	}
	a.note("No %s found in %s namespace.", what, namespace)
}

func (v *logVerb) header() []string {
	header := []string{"TIME", "SEVERITY", "CONDITION", "STATE", "ACK", "NAME"}
	if v.wide() {
		header = append(header, "TYPE", "CREATOR", "OCCURRENCES", "HELD", "COMPUTERS", "SUBJECT")
	}
	if v.all {
		header = append([]string{"NAMESPACE"}, header...)
	}
	return header
}

func (v *logVerb) row(n *v1alpha1.Notification) []screen.Cell {
	state := logfilter.State(n)
	row := []screen.Cell{
		screen.Text(utc(logfilter.Time(n))),
		{Text: string(n.Spec.Severity), Tone: severityTone(n.Spec.Severity)},
		screen.Text(about(n)),
		{Text: string(state), Tone: stateTone(string(state))},
		screen.Text(yesNo(n.Spec.Acknowledgement != nil)),
		screen.Text(n.Name),
	}
	if v.wide() {
		trigger := n.Spec.Trigger
		if trigger == nil {
			trigger = &v1alpha1.Trigger{}
		}
		row = append(row, screen.Text(n.Spec.Type), screen.Text(n.Spec.Creator),
			screen.Text(strconv.FormatInt(trigger.Occurrences, 10)), screen.Text(strconv.FormatInt(trigger.Held, 10)),
			screen.Text(strconv.Itoa(int(trigger.Computers))), screen.Text(subject(n)))
	}
	if v.all {
		row = append([]screen.Cell{screen.Text(n.Namespace)}, row...)
	}
	return row
}

// about is the condition that fired, or for want of one what the notification is.
func about(n *v1alpha1.Notification) string {
	switch {
	case n.Spec.Condition != nil:
		return n.Spec.Condition.Name
	case n.Spec.ChannelRef != nil:
		return fmt.Sprintf("(%s of %s)", n.Spec.Type, n.Spec.ChannelRef.Name)
	case n.Spec.Digest != nil && len(n.Spec.Deliveries) > 0:
		return fmt.Sprintf("(%s of %s)", n.Spec.Type, n.Spec.Deliveries[0].Channel)
	default:
		return "(" + n.Spec.Type + ")"
	}
}

func subject(n *v1alpha1.Notification) string {
	for i := range n.Spec.Deliveries {
		if s := n.Spec.Deliveries[i].Subject; s != "" {
			return s
		}
	}
	if t := n.Spec.Trigger; t != nil && t.Event != nil {
		return t.Event.Title
	}
	return ""
}

func severityTone(s v1alpha1.Severity) screen.Tone {
	switch s {
	case v1alpha1.SeverityCritical:
		return screen.Worst
	case v1alpha1.SeverityFunctionalFailure:
		return screen.Bad
	case v1alpha1.SeverityWarning:
		return screen.Warn
	default:
		return screen.Plain
	}
}

// stateTone is for states of deliveries and reasons of Succeeded and Ready.
func stateTone(state string) screen.Tone {
	switch state {
	case v1alpha1.ReasonDelivered, v1alpha1.ReasonLogged, v1alpha1.ReasonReady:
		return screen.Good
	case v1alpha1.ReasonFailed, v1alpha1.ReasonInvalid, v1alpha1.ReasonNotificationsRefused:
		return screen.Bad
	case string(v1alpha1.DeliveryNotNeeded), string(v1alpha1.DeliveryStandby), v1alpha1.ReasonSuspended:
		return screen.Faint
	default:
		return screen.Warn
	}
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// list joins words for a line.
func joined(words []string) string { return strings.Join(words, ", ") }
