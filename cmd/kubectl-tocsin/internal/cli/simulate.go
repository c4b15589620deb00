// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/rehearsal"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// proposals is how many settings --tune shows.
const proposals = 5

type simulateVerb struct {
	drafting

	file, since string
	out         output
	tune        float64
	computers   int32
	chunk       int64
}

func simulateCommand(a *App) *cobra.Command {
	v := &simulateVerb{}
	c := &cobra.Command{
		Use:   "simulate -f FILE",
		Short: "Try a draft of a condition on the events that are kept",
		Long: "Try a draft of a condition on the events that are kept, with the engine that decides in earnest, as if the condition " +
			"had been created at --since. Nothing is sent or stored. The API server is asked whether it would take the draft. " +
			"Limits of channels are not simulated.",
		Example: `  # What would this condition have told in the last two days?
  kubectl tocsin simulate -f condition.yaml --since 2d

  # Which threshold and damper give about three notifications a day?
  kubectl tocsin simulate -f condition.yaml --tune 3`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: nothing,
		RunE:              func(c *cobra.Command, _ []string) error { return v.run(c, a) },
	}
	flags := c.Flags()
	flags.StringVarP(&v.file, "filename", "f", "", "File with the draft of a condition; - for the standard input")
	flags.StringVar(&v.since, "since", "", "How far back (24h, 7d) or since when to try it; all events that are kept if not given")
	flags.Float64Var(&v.tune, "tune", 0, "Find settings that give about so many notifications a day")
	flags.Int32Var(&v.computers, "computers", 0, "Number of computers, for threshold.auto; those in the events if not given")
	flags.Int64Var(&v.chunk, "chunk-size", defaultChunk, "How many objects to ask the API server for at once; 0 for all")
	v.out.addValueFlags(a, c)
	v.drafting.addFlags(a, c)
	return c
}

func (v *simulateVerb) run(c *cobra.Command, a *App) error {
	tuning := c.Flags().Changed("tune")
	if err := v.possible(c, tuning); err != nil {
		return err
	}
	draft, err := a.draftCondition(v.file)
	if err != nil {
		return err
	}
	if err := v.usable(a, draft); err != nil {
		return err
	}
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	far := a.progress()
	defer far.clear()
	scene, err := v.scene(c.Context(), a, cluster, draft, far)
	if err != nil {
		return err
	}
	scene.Done = func(part float64) { far.say("Simulating: %.0f%%", 100*part) }
	outcome, err := scene.Play(c.Context(), draft)
	if err != nil {
		return err
	}
	result := report(draft, scene, outcome)
	var found []rehearsal.Proposal
	if tuning {
		scene.Done = func(part float64) { far.say("Trying settings: %.0f%%", 100*part) }
		found, err = scene.Tune(c.Context(), draft, rehearsal.Wish{PerDay: v.tune, Most: proposals})
		if err != nil {
			return err
		}
		far.clear()
		v.judge(a, scene, found)
		result.Proposals = propose(scene, found)
	}
	far.clear()
	if !v.out.table() {
		return v.out.value(a, result)
	}
	return v.tell(a, scene, outcome, result, found)
}

// judge says what of the wish cannot be had.
func (v *simulateVerb) judge(a *App, scene *rehearsal.Scene, found []rehearsal.Proposal) {
	if len(found) == 0 {
		a.note("Nothing met the filter: there is nothing to tune by.")
		return
	}
	advice, best := "", found[0]
	switch off := max(v.tune/2, 1); {
	case best.PerDay > v.tune+off:
		advice = "A narrower filter, or a damper for the whole condition, tells less."
	case best.PerDay < v.tune-off:
		advice = "A wider filter, a shorter damper, or one for each computer or risk, tells more."
	default:
		return
	}
	a.note("No setting that was tried comes near %s %s: the closest tells %s. %s", number(v.tune), within(scene),
		counted(int64(best.Told), "notification")+rate(scene, best.PerDay), advice)
}

// tell shows the outcome to people.
func (v *simulateVerb) tell(a *App, scene *rehearsal.Scene, o *rehearsal.Outcome, r *simulation, found []rehearsal.Proposal) error {
	if len(scene.Events) == 0 {
		a.note("No events are kept in %s namespace.", r.Namespace)
		return nil
	}
	if err := v.draw(a, scene, o, r); err != nil || len(found) == 0 {
		return err
	}
	return v.table(a, scene, found)
}

// possible refuses flags that cannot be used.
func (v *simulateVerb) possible(c *cobra.Command, tuning bool) error {
	switch {
	case v.file == "":
		return &usageError{c, errors.New("must specify one of -f or --filename")}
	case tuning && (v.tune < 0 || math.IsNaN(v.tune) || math.IsInf(v.tune, 0)):
		return &usageError{c, errors.New("--tune: must be a number of notifications a day, zero or more")}
	case v.computers < 0:
		return &usageError{c, errors.New("--computers: may not be negative")}
	}
	return v.out.check()
}

// scene gathers the events to play.
func (v *simulateVerb) scene(ctx context.Context, a *App, cluster client.Client,
	draft *v1alpha1.NotificationCondition, far *progress) (*rehearsal.Scene, error) {
	now := a.Now()
	var since time.Time
	if v.since != "" {
		var err error
		if since, err = moment(v.since, now); err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
		if !since.Before(now) {
			return nil, fmt.Errorf("--since: %s lies ahead", utc(since))
		}
	}
	if err := a.accepted(ctx, cluster, draft); err != nil {
		return nil, err
	}
	a.hindered(draft, inCluster(ctx, cluster, draft.Namespace))
	events, err := watched(ctx, cluster, draft, v.chunk, func(n int) { far.say("Reading events: %d", n) })
	if err != nil {
		return nil, err
	}
	scene := rehearsal.NewScene(events, since, now)
	if v.computers > 0 {
		scene.Computers = v.computers
	}
	return scene, nil
}

// simulation is the outcome as JSON and YAML show it.
type simulation struct {
	Condition           string                      `json:"condition"`
	Namespace           string                      `json:"namespace"`
	Since               metav1.Time                 `json:"since"`
	Until               metav1.Time                 `json:"until"`
	OldestEvent         *metav1.Time                `json:"oldestEvent,omitempty"`
	Threshold           v1alpha1.EffectiveThreshold `json:"threshold"`
	Damper              v1alpha1.Duration           `json:"damper,omitempty"`
	Events              int                         `json:"events"`
	MatchedEvents       int                         `json:"matchedEvents"`
	Occurrences         int64                       `json:"occurrences"`
	Held                int64                       `json:"held"`
	NotificationsPerDay *float64                    `json:"notificationsPerDay,omitempty"`
	Notifications       []simulated                 `json:"notifications"`
	Proposals           []proposal                  `json:"proposals,omitempty"`
	ExpressionErrors    int                         `json:"expressionErrors,omitempty"`
	ExpressionError     string                      `json:"expressionError,omitempty"`
}

// simulated is one notification that would have been sent.
type simulated struct {
	Time        metav1.Time            `json:"time"`
	Reason      v1alpha1.TriggerReason `json:"reason"`
	Key         string                 `json:"key,omitempty"`
	Sequence    int64                  `json:"sequence"`
	Occurrences int64                  `json:"occurrences"`
	Computers   int                    `json:"computers"`
	Held        int64                  `json:"held"`
	Event       string                 `json:"event,omitempty"`
	// EventNamespace is that of the event, unless it is the condition's.
	EventNamespace string `json:"eventNamespace,omitempty"`
}

// proposal is a setting that --tune has found.
type proposal struct {
	Threshold           v1alpha1.Threshold    `json:"threshold"`
	Damper              v1alpha1.DamperPeriod `json:"damper"`
	NotificationsPerDay *float64              `json:"notificationsPerDay,omitempty"`
	Notifications       int                   `json:"notifications"`
	Held                int64                 `json:"held"`
}

func report(draft *v1alpha1.NotificationCondition, s *rehearsal.Scene, o *rehearsal.Outcome) *simulation {
	r := &simulation{
		Condition: draft.Name, Namespace: draft.Namespace, Since: metav1.NewTime(s.Since), Until: metav1.NewTime(s.Until),
		Threshold: o.Rule.Threshold, Events: o.Seen, MatchedEvents: len(o.Matched), Occurrences: o.Occurrences, Held: o.Held,
		NotificationsPerDay: perDay(s, s.PerDay(o)), Notifications: []simulated{},
		ExpressionErrors: o.Failed, ExpressionError: o.Failure,
	}
	if !s.Oldest.IsZero() {
		r.OldestEvent = &metav1.Time{Time: s.Oldest}
	}
	if o.Rule.Damper() > 0 {
		r.Damper = v1alpha1.FormatDuration(o.Rule.Damper())
	}
	for _, f := range o.Told {
		told := simulated{
			Time: metav1.NewTime(f.Time), Reason: f.Reason, Key: f.Key, Sequence: f.Sequence,
			Occurrences: f.Window.Occurrences, Computers: f.Window.Computers, Held: f.Held,
		}
		if e := f.Event; e != nil {
			told.Event = e.Name
			if e.Namespace != draft.Namespace {
				told.EventNamespace = e.Namespace
			}
		}
		r.Notifications = append(r.Notifications, told)
	}
	return r
}

func propose(s *rehearsal.Scene, found []rehearsal.Proposal) []proposal {
	var list []proposal
	for _, p := range found {
		list = append(list, proposal{
			Threshold: v1alpha1.Threshold{Count: &p.Count, Window: p.Window, Scope: p.Scope},
			Damper:    p.Damper, NotificationsPerDay: perDay(s, p.PerDay), Notifications: p.Told, Held: p.Held,
		})
	}
	return list
}

// perDay is none for less than a day of events, which says nothing about a day.
func perDay(s *rehearsal.Scene, x float64) *float64 {
	if s.Span() < rehearsal.Day {
		return nil
	}
	x = round(x)
	return &x
}

// rate is how often, in words.
func rate(s *rehearsal.Scene, x float64) string {
	if s.Span() < rehearsal.Day {
		return " in " + duration.HumanDuration(s.Span())
	}
	return ", " + number(round(x)) + " a day"
}

// within is of what time --tune gives a number, in words.
func within(s *rehearsal.Scene) string {
	if s.Span() < rehearsal.Day {
		return "in " + duration.HumanDuration(s.Span()) + ", as there is no day of events"
	}
	return "a day"
}

func round(x float64) float64 { return math.Round(10*x) / 10 }

// draw shows the outcome: in a few words, as a chart, and as a table.
func (v *simulateVerb) draw(a *App, scene *rehearsal.Scene, o *rehearsal.Outcome, r *simulation) error {
	s := &story{screen: a.Screen}
	s.plain(0, "Condition", fmt.Sprintf("%s: %s, damper %s", r.Condition, threshold(r.Threshold)+chosen(r.Threshold), damperName(o.Rule)))
	s.plain(0, "Since", utc(scene.Since)+before(scene.Since, scene.Until))
	if scene.Oldest.After(scene.Since) {
		s.plain(0, "Oldest event", utc(scene.Oldest)+before(scene.Oldest, scene.Until)+
			": if older ones were deleted, there was more to tell than this")
	}
	s.plain(0, "Events", fmt.Sprintf("%d kept, %d met the filter: %s", r.Events, r.MatchedEvents, counted(r.Occurrences, "occurrence")))
	if r.ExpressionErrors > 0 {
		s.say(0, "Expression", fmt.Sprintf("could not be evaluated for %s: %s", counted(int64(r.ExpressionErrors), "event"),
			r.ExpressionError), screen.Warn)
	}
	s.say(0, "Told", fmt.Sprintf("%s%s; %s held", counted(int64(len(o.Told)), "notification"), rate(scene, scene.PerDay(o)),
		counted(r.Held, "occurrence")), screen.Bold)
	var happened []screen.Mark
	for _, e := range o.Matched {
		happened = append(happened, screen.Mark{At: e.Object.CreationTimestamp.Time, Count: rehearsal.Occurrences(e.Object)})
	}
	var told []time.Time
	for _, f := range o.Told {
		told = append(told, f.Time)
	}
	s.out.WriteString("\n" + a.Screen.Chart(scene.Since, scene.Until, happened, told))
	if len(o.Told) > 0 {
		s.out.WriteString("\n")
	}
	if _, err := fmt.Fprint(a.Out, s.out.String()); err != nil || len(o.Told) == 0 {
		return err
	}
	var rows [][]screen.Cell
	for _, n := range r.Notifications {
		rows = append(rows, []screen.Cell{
			screen.Text(utc(n.Time.Time)), screen.Text(string(n.Reason)), screen.Text(strconv.FormatInt(n.Occurrences, 10)),
			screen.Text(strconv.Itoa(n.Computers)), screen.Text(strconv.FormatInt(n.Held, 10)), screen.Text(n.Key),
			screen.Text(from("", n.EventNamespace, n.Event)),
		})
	}
	return screen.NewTable(a.Screen, "TIME", "REASON", "OCCURRENCES", "COMPUTERS", "HELD", "FOR", "EVENT").Write(rows...)
}

// chosen says by what threshold.auto has chosen.
func chosen(t v1alpha1.EffectiveThreshold) string {
	if t.Computers == nil {
		return ""
	}
	return " (auto, for " + counted(int64(*t.Computers), "computer") + ")"
}

func damperName(rule *plan.Rule) string {
	switch {
	case rule.OncePerRisk():
		return "once per risk"
	case rule.Damper() == 0:
		return "none"
	default:
		return string(v1alpha1.FormatDuration(rule.Damper()))
	}
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// table shows what --tune has found.
func (v *simulateVerb) table(a *App, scene *rehearsal.Scene, found []rehearsal.Proposal) error {
	header, daily := []string{"COUNT", "WINDOW", "DAMPER", "A-DAY", "TOLD", "HELD"}, scene.Span() >= rehearsal.Day
	if !daily {
		header = slices.Delete(header, 3, 4)
	}
	fmt.Fprintf(a.Out, "\nSettings for about %s %s, the closest first:\n", number(v.tune), within(scene))
	var rows [][]screen.Cell
	for _, p := range found {
		row := []screen.Cell{screen.Text(strconv.Itoa(int(p.Count))), screen.Text(string(p.Window)), screen.Text(string(p.Damper))}
		if daily {
			row = append(row, screen.Text(number(round(p.PerDay))))
		}
		rows = append(rows, append(row, screen.Text(strconv.Itoa(p.Told)), screen.Text(strconv.FormatInt(p.Held, 10))))
	}
	return screen.NewTable(a.Screen, header...).Write(rows...)
}
