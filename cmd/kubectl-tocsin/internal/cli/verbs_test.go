// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

func TestBadInputSaysWhatIsRight(t *testing.T) {
	t.Parallel()
	channel := "apiVersion: tocsin.dev/v1alpha1\nkind: NotificationChannel\nmetadata: {name: mail}\nspec: {type: Email}\n"
	condition := "apiVersion: tocsin.dev/v1alpha1\nkind: NotificationCondition\nmetadata: {name: c}\nspec: {type: Custom}\n"
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no such verb":       {[]string{"lgo"}, `error: unknown command "lgo" for "kubectl tocsin"`},
		"no such flag":       {[]string{"log", "--sinc", "1h"}, "error: unknown flag: --sinc\nSee 'kubectl tocsin log --help' for usage."},
		"a name too many":    {[]string{"log", "outbreak"}, `error: unknown command "outbreak" for "kubectl tocsin log"`},
		"no such filter":     {[]string{"log", "--filter", "x"}, `Error from server (NotFound): notificationfilters.tocsin.dev "x" not found`},
		"no such entry":      {[]string{"show", "x"}, `Error from server (NotFound): notifications.tocsin.dev "x" not found`},
		"no such channel":    {[]string{"test", "x"}, `Error from server (NotFound): notificationchannels.tocsin.dev "x" not found`},
		"archive and watch":  {[]string{"log", "--archive", "--watch"}, "error: give either --archive or --watch"},
		"archive of a range": {[]string{"log", "--archive", "--since", "1h", "--until", "2h"}, "error: the time range ends at"},
		"archive by a path":  {[]string{"show", "..", "--archive"}, `error: ".." is no name of a notification`},
		"archive by nothing": {[]string{"show", "", "--archive"}, `error: "" is no name of a notification`},
		"a range of nothing": {[]string{"log", "--since", "2026-11-22T08:00:00Z", "--until", "2d"}, "error: the time range ends at 2026-11-20T12:00:00Z, before it begins"},
		"a time in words":    {[]string{"log", "--since", "yesterday"}, `error: --since: "yesterday" is neither a length of time such as 24h or 7d nor a time`},
		"unknown severity":   {[]string{"log", "--severity", "Fatal"}, `error: --severity: "Fatal" is none of Info, Warning, FunctionalFailure, Critical`},
		"unknown state":      {[]string{"log", "--state", "Sent"}, `error: --state: "Sent" is none of Pending`},
		"an empty name":      {[]string{"log", "--condition", `""`}, "error: --condition: a name may not be empty"},
		"unknown format": {[]string{"log", "-o", "xml"}, `error: unable to match a printer suitable for the output format "xml", allowed ` +
			"formats are: custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file," +
			"kyaml,name,template,templatefile,wide,yaml\n"},
		"a format without tables": {[]string{"ack", "x", "--comment", "x", "-o", "wide"}, `output format "wide", allowed formats are: go-template,`},
		"a format with a tail":    {[]string{"log", "-o", "json=x"}, `suitable for the output format "json=x"`},
		"no template":             {[]string{"log", "-o", "go-template"}, "error: template format specified but no template given"},
		"bad template":            {[]string{"log", "-o", "go-template={{.items"}, "error: error parsing template {{.items"},
		"a template that fails": {[]string{"log", "-o", "go-template={{.kind.x}}"},
			`error: error executing template "{{.kind.x}}"`},
		"a path that fails":           {[]string{"log", "-o", "jsonpath={.items[99]}"}, "array index out of bounds"},
		"no file with a template":     {[]string{"log", "-o", "go-template-file=/nowhere"}, "error: error reading --template /nowhere"},
		"bad jsonpath":                {[]string{"log", "-o", "jsonpath={.items["}, "error: error parsing jsonpath"},
		"bad columns":                 {[]string{"log", "-o", "custom-columns=A"}, "expected <header>:<json-path-expr>"},
		"no columns":                  {[]string{"log", "-o", "custom-columns"}, "no custom columns given"},
		"columns from nowhere":        {[]string{"log", "-o", "custom-columns-file=/nowhere"}, "error reading template /nowhere"},
		"a column without a path":     {[]string{"log", "-o", "custom-columns-file=" + write(t, "A B\n.metadata.name\n")}, "number of headers (2)"},
		"bad selector":                {[]string{"log", "-l", "a in b"}, "error: --selector: unable to parse requirement"},
		"bad field selector":          {[]string{"events", "--field-selector", "a"}, "error: --field-selector: invalid selector"},
		"a field the archive has not": {[]string{"log", "--archive", "--field-selector", "spec.x=1"}, "field label not supported: spec.x"},
		"sorted by no path":           {[]string{"conditions", "--sort-by", "{a"}, `error: --sort-by: unexpected path string "{a"`},
		"sorted by a bad path":        {[]string{"log", "--sort-by", ".a["}, `error: --sort-by: error parsing ".a["`},
		"sorted by what is not there": {[]string{"log", "--sort-by", ".spec.x"}, `error: couldn't find any field with path ".spec.x"`},
		"sorted by a whole object":    {[]string{"channels", "--sort-by", ".spec"}, "error: --sort-by: .spec is neither a text nor a number"},
		"no such dry run":             {[]string{"ack", "x", "--comment", "x", "--dry-run=maybe"}, "invalid dry-run value (maybe)"},
		"comments at two places":      {[]string{"ack", "x", "--comment", "x", "--comment-file", "y"}, "[comment comment-file]"},
		"no file with a comment":      {[]string{"ack", "x", "--comment-file", "/nowhere"}, "error: --comment-file: open /nowhere: no such file"},
		"an empty comment":            {[]string{"ack", "x", "--comment-file", write(t, " \n")}, "holds no text"},
		"a comment in no UTF-8":       {[]string{"ack", "x", "--comment-file", write(t, "\xff")}, "is no text in UTF-8"},
		"a file of 1 MB":              {[]string{"ack", "x", "--comment-file", write(t, strings.Repeat("x", 1<<20))}, "has more than 4096 characters"},
		"a comment a bit too long": {[]string{"ack", "x", "--comment-file", write(t, strings.Repeat("ä", 4097))},
			"the comment has 4097 characters; at most 4096 are kept"},
		"a version in a table":        {[]string{"version", "-o", "wide"}, `--output must be 'yaml' or 'json', not "wide"`},
		"events of a state":           {[]string{"events", "--filter", "open-critical"}, "error: events have no `acknowledged`"},
		"no comment":                  {[]string{"ack", "outbreak-2dfojryr7q"}, "error: --comment is needed"},
		"a blank comment":             {[]string{"ack", "outbreak-2dfojryr7q", "--comment", " "}, "error: --comment is needed"},
		"ack of another kind":         {[]string{"ack", "pod/x", "--comment", "x"}, `error: "pod/x" is no name of a notification`},
		"show of no name":             {[]string{"show", "notification/"}, `error: "notification/" is no name of a notification`},
		"a tail of less than nothing": {[]string{"log", "--tail", "-5"}, "error: --tail: -5 is no number of objects, nor -1 for all"},
		"a tail of events":            {[]string{"events", "--tail", "-2"}, "error: --tail: -2"},
		"quiet too late": {[]string{"ack", "outbreak-mnaaog7ng2", "--comment", "x", "--quiet-until-cleared"},
			"nothing was done, --quiet-until-cleared cannot be added"},
		"nothing to ack":     {[]string{"ack", "--comment", "x"}, "error: name the notifications, or give a filter"},
		"ack of both":        {[]string{"ack", "a", "--since", "1h", "--comment", "x"}, "error: give either names or a filter"},
		"a comment of 1 MB":  {[]string{"ack", "outbreak-2dfojryr7q", "--comment", strings.Repeat("x", 1<<20)}, "error: the comment has 1048576 characters; at most 4096 are kept"},
		"no file":            {[]string{"simulate"}, "error: must specify one of -f or --filename"},
		"a file that is not": {[]string{"simulate", "-f", "/nowhere"}, "error: open /nowhere: no such file or directory"},
		"an empty file":      {[]string{"simulate", "-f", write(t, "# nothing\n---\n")}, "no objects found"},
		"another kind":       {[]string{"simulate", "-f", write(t, "apiVersion: v1\nkind: Pod\n")}, "holds nothing of tocsin.dev/v1alpha1, but v1 Pod\n"},
		"no condition":       {[]string{"simulate", "-f", write(t, channel)}, "holds no NotificationCondition"},
		"two conditions":     {[]string{"simulate", "-f", write(t, condition+"---\n"+condition)}, "holds several conditions"},
		"unknown field":      {[]string{"simulate", "-f", write(t, condition+"  treshold: {}\n")}, "did not find expected"},
		"misspelled field":   {[]string{"simulate", "-f", write(t, strings.Replace(condition, "type: Custom", "type: Custom, treshold: {}", 1))}, `unknown field "treshold"`},
		"bad expression": {[]string{"simulate", "-f", write(t, strings.Replace(condition, "type: Custom", `type: Custom, filter: {expression: "event."}`, 1))},
			"error: condition c: `spec.filter.expression`"},
		"bad placeholder": {[]string{"preview", "-f", write(t, strings.Replace(condition, "type: Custom",
			`type: Custom, actions: [{channelRef: {name: m}, email: {subject: "%FOO%"}}]`, 1))}, "%FOO%"},
		"tune to less than nothing": {[]string{"simulate", "-f", write(t, condition), "--tune", "-1"}, "error: --tune: must be a number of notifications a day"},
		"tune what is told once": {[]string{"simulate", "-f", write(t, strings.Replace(condition, "Custom", "NewRiskDetected", 1)), "--tune", "1"},
			"error: spec.type: NewRiskDetected tells of each risk once"},
		"since tomorrow": {[]string{"simulate", "-f", write(t, condition), "--since", "2026-11-23T08:00:00Z"}, "lies ahead"},
		"two events":     {[]string{"preview", "-f", write(t, condition), "--event", "a", "--event-file", "b"}, "error: give either --event or --event-file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t, stock(t)...)
			if code := x.run(t, tc.args...); code != 1 {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(x.err.String(), tc.want) {
				t.Errorf("got  %q\nwant %q", x.err.String(), tc.want)
			}
			if x.out.Len() > 0 {
				t.Errorf("output in spite of the error: %s", x.out.String())
			}
		})
	}
}

func TestErrorsAreWordedAsKubectlDoes(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Group: "tocsin.dev", Resource: "notifications"}
	for name, tc := range map[string]struct {
		err  error
		code int
		want string
	}{
		"forbidden": {apierrors.NewForbidden(resource, "", errors.New("User \"eve\" cannot list")), 1,
			"Error from server (Forbidden): notifications.tocsin.dev is forbidden: User \"eve\" cannot list\n"},
		"refused": {&url.Error{Op: "Get", URL: "https://127.0.0.1:6443/api", Err: syscall.ECONNREFUSED}, 1,
			"The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?\n"},
		"else":                {errors.New("no\x1b[2Jthing"), 1, "error: no\uFFFD[2Jthing\n"},
		"interrupted":         {fmt.Errorf("listing: %w", context.Canceled), 130, ""},
		"the reader has gone": {fmt.Errorf("write: %w", syscall.EPIPE), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t)
			x.client = interceptor.NewClient(x.client, interceptor.Funcs{
				List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return tc.err },
			})
			if code := x.run(t, "log"); code != tc.code || x.err.String() != tc.want {
				t.Errorf("exit code %d, %q", code, x.err.String())
			}
		})
	}
}

func TestExitCodesOfATest(t *testing.T) {
	t.Parallel()
	for channel, want := range map[string]int{"soc-mail": 0, "duty-mail": 2, "slow": 3, "missing": 1} {
		slow := &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "slow"}}
		x := newTerminal(t, append(stock(t), slow)...)
		if code := x.run(t, "test", channel, "--timeout", "100ms"); code != want {
			t.Errorf("%s: exit code %d, want %d: %s", channel, code, want, x.err.String())
		}
	}
}

func TestATestThatDoesNotEndSaysThatItGoesOn(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "slow"}})
	x.run(t, "test", "slow", "--timeout", "10ms")
	if want := "error: the test has not ended within 10ms; it goes on: kubectl tocsin show test-q8z4w"; !strings.Contains(x.err.String(), want) {
		t.Errorf("got %s", x.err.String())
	}
}

func TestEmptyLogSaysSo(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	for line, want := range map[string]string{
		"log": "No notifications found in security namespace.\n", "log -A": "No notifications found.\n",
		"events": "No events found in security namespace.\n", "conditions": "No conditions found in security namespace.\n",
		"channels -A": "No channels found.\n",
	} {
		if code := x.run(t, strings.Fields(line)...); code != 0 || x.err.String() != want || x.out.Len() > 0 {
			t.Errorf("%s: exit code %d, %q", line, code, x.err.String())
		}
	}
	x.run(t, "log", "-o", "json")
	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal(x.out.Bytes(), &list); err != nil || list.Kind != "List" || list.Items == nil {
		t.Errorf("%v: %s", err, x.out.String())
	}
}

func TestLogShowsTheNewestLastAndOnlyTheTail(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	for line, want := range map[string]string{
		"log -o name --tail 2":                              "outbreak-mnaaog7ng2 outbreak-2dfojryr7q",
		"log -o name --tail 0":                              "",
		"log -o name --text reimaged":                       "",
		"log -o name --text TICKET":                         "outbreak-mnaaog7ng2",
		"log -o name --channel duty-*":                      "test-x7k2p outbreak-mnaaog7ng2",
		"log -o name --type test,digest":                    "test-x7k2p soc-mail-digest-7vbq2m4kdx",
		"log -o name --creator alice@example.com":           "outbreak-mnaaog7ng2 outbreak-2dfojryr7q",
		"log -o name --filter open-critical --acknowledged": "outbreak-mnaaog7ng2",
		"log -o name --filter open-critical --since 10m":    "",
		"log -o name --until 2026-11-22T10:30:00Z":          "test-x7k2p soc-mail-digest-7vbq2m4kdx",
		"log -o name --severity critical --computer WS-02*": "outbreak-mnaaog7ng2",
	} {
		if code := x.run(t, strings.Fields(line)...); code != 0 {
			t.Errorf("%s: %s", line, x.err.String())
		}
		got := strings.Fields(strings.ReplaceAll(x.out.String(), "notification.tocsin.dev/", ""))
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestAckOfOneThatDoesNotExistDoesTheOthers(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	if code := x.run(t, "ack", "missing", "outbreak-2dfojryr7q", "--comment", "seen", "--quiet-until-cleared"); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if want := "notification.tocsin.dev/outbreak-2dfojryr7q acknowledged\n"; x.out.String() != want {
		t.Errorf("got %q", x.out.String())
	}
	n := &v1alpha1.Notification{}
	if err := x.client.Get(t.Context(), client.ObjectKey{Namespace: "security", Name: "outbreak-2dfojryr7q"}, n); err != nil {
		t.Fatal(err)
	}
	if k := n.Spec.Acknowledgement; k == nil || k.Comment != "seen" || !k.QuietUntilCleared || k.By != "" {
		t.Errorf("stored is %+v", k)
	}
}

// TestTheWishForQuietIsTakenBack: it shows at the condition while it lasts.
func TestTheWishForQuietIsTakenBack(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	c := &v1alpha1.NotificationCondition{}
	if err := x.client.Get(t.Context(), client.ObjectKey{Namespace: "security", Name: "outbreak"}, c); err != nil {
		t.Fatal(err)
	}
	at := metav1.NewTime(x.Now())
	c.Status.Dampers = []v1alpha1.DamperStatus{
		{Key: "a\u202e", Quiet: &v1alpha1.QuietStatus{Since: at}}, {Key: "b", Quiet: &v1alpha1.QuietStatus{Since: at, EndedTime: &at}},
		{Key: "c", Quiet: &v1alpha1.QuietStatus{Since: at}}, {Quiet: &v1alpha1.QuietStatus{Since: at}}, {Key: "d"},
		{Key: "e", Quiet: &v1alpha1.QuietStatus{Since: at}},
	}
	if err := x.client.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"conditions"}, 0, "quiet for a� since 2026-11-22T12:00:00Z, quiet for c since 2026-11-22T12:00:00Z, " +
			"quiet since 2026-11-22T12:00:00Z, and 1 more"},
		{[]string{"ack", "outbreak-2dfojryr7q", "--quiet-until-cleared=false"}, 1, "is not acknowledged: there is no wish for quiet to take back"},
		{[]string{"ack", "outbreak-2dfojryr7q", "--comment", "on it", "--quiet-until-cleared"}, 0, "outbreak-2dfojryr7q acknowledged\n"},
		{[]string{"ack", "outbreak-2dfojryr7q", "--quiet-until-cleared=false", "--dry-run"}, 0, "no longer asks for quiet (server dry run)\n"},
		{[]string{"ack", "outbreak-2dfojryr7q", "--quiet-until-cleared=false"}, 0, "outbreak-2dfojryr7q no longer asks for quiet\n"},
		{[]string{"ack", "outbreak-2dfojryr7q", "--quiet-until-cleared=false"}, 0, "was acknowledged already: on it\n"},
		{[]string{"ack", "--condition", "outbreak", "--quiet-until-cleared=false"}, 1, "--comment is needed"},
	} {
		if code := x.run(t, step.args...); code != step.code || !strings.Contains(x.out.String()+x.err.String(), step.want) {
			t.Errorf("%v: exit code %d, %q, %q, want %q", step.args, code, x.out.String(), x.err.String(), step.want)
		}
	}
}

func TestNamesMayBeGivenAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	for _, prefix := range []string{"notification.tocsin.dev/", "notifications.tocsin.dev/", "notification/", "notifications/"} {
		for line, want := range map[string]string{
			"show -o name": "notification.tocsin.dev/outbreak-mnaaog7ng2\n", "ack --comment x": "was acknowledged already",
		} {
			if code := x.run(t, append(strings.Fields(line), prefix+"outbreak-mnaaog7ng2")...); code != 0 || !strings.Contains(x.out.String(), want) {
				t.Errorf("%s %s: exit code %d, %q, %q", line, prefix, code, x.out.String(), x.err.String())
			}
		}
	}
}

func TestAckByAFilterOfWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	acknowledged := true
	x := newTerminal(t, append(stock(t), &v1alpha1.NotificationFilter{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "done"},
		Spec:       v1alpha1.NotificationFilterSpec{Acknowledged: &acknowledged},
	})...)
	want := "error: filter done: spec.acknowledged is true: what is acknowledged cannot be acknowledged again\n"
	if code := x.run(t, "ack", "--filter", "done", "--comment", "x"); code != 1 || x.err.String() != want || x.out.Len() > 0 {
		t.Errorf("exit code %d, %q, %q", code, x.out.String(), x.err.String())
	}
	if code := x.run(t, "ack", "--filter", "done", "--acknowledged=false", "--condition", "outbreak", "--comment", "x"); code != 0 || x.out.Len() == 0 {
		t.Errorf("with the flag: exit code %d, %q, %q", code, x.out.String(), x.err.String())
	}
}

func TestAckTellsWhoWasQuicker(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	quicker := sync.OnceFunc(func() {
		n := stockNamed(t, "outbreak-2dfojryr7q").(*v1alpha1.Notification)
		if err := x.client.Get(t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
			t.Error(err)
		}
		n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "mine", By: "mallory"}
		if err := x.client.Update(t.Context(), n); err != nil {
			t.Error(err)
		}
	})
	inner := x.client
	x.Connect = func() (client.WithWatch, error) {
		return interceptor.NewClient(inner, interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
				quicker()
				return c.Patch(ctx, o, p, options...)
			},
		}), nil
	}
	if code := x.run(t, "ack", "outbreak-2dfojryr7q", "--comment", "seen"); code != 0 {
		t.Errorf("exit code %d: %s", code, x.err.String())
	}
	if want := "notification.tocsin.dev/outbreak-2dfojryr7q was acknowledged already: by mallory: mine\n"; x.out.String() != want {
		t.Errorf("got %q", x.out.String())
	}
}

func TestCompletionKnowsTheCluster(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	for line, want := range map[string]string{
		"show o":                                  "outbreak-2dfojryr7q outbreak-mnaaog7ng2",
		"ack outbreak-2dfojryr7q o":               "outbreak-mnaaog7ng2",
		"test ":                                   "duty-mail soc-mail",
		"test soc-mail ":                          "",
		"log --filter ":                           "open-critical",
		"log --condition s":                       "server-health",
		"log --severity F":                        "FunctionalFailure",
		"log --severity Critical,F":               "Critical,FunctionalFailure",
		"ack --state Failed,S":                    "Failed,Sending Failed,Suppressed",
		"log --severity Info,":                    "Info,Warning Info,FunctionalFailure Info,Critical",
		"log --condition outbreak,":               "outbreak,server-health",
		"show notification.tocsin.dev/outbreak-m": "notification.tocsin.dev/outbreak-mnaaog7ng2",
		"show outbreak-mnaaog7ng2 ":               "",
		"show pod/":                               "",
		"ack outbreak-2dfojryr7q ntf/o":           "ntf/outbreak-mnaaog7ng2",
		"log -o j":                                "json jsonpath= jsonpath-as-json= jsonpath-file=",
		"log -o go":                               "go-template= go-template-file=",
		"ack -o c":                                "",
		"simulate -o n":                           "",
		"ack --dry-run=":                          "none server client",
		"version -o ":                             "json yaml",
		"preview --event traffic":                 "traffic-0001",
	} {
		parts := strings.Split(line, " ")
		x.run(t, append([]string{"__complete"}, parts...)...)
		got, _, _ := strings.Cut(x.out.String(), ":")
		if strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestColoursOnlyWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	x.run(t, "log")
	if strings.Contains(x.out.String(), "\x1b") {
		t.Error("colours without a terminal")
	}
	plain := x.out.String()
	x.Screen = &screen.Screen{Writer: &x.out, Colour: true}
	x.run(t, "log")
	coloured := x.out.String()
	if !strings.Contains(coloured, "\x1b[1;31mCritical\x1b[0m") {
		t.Errorf("no colours: %q", coloured)
	}
	for _, tone := range []screen.Tone{screen.Good, screen.Warn, screen.Bad, screen.Worst, screen.Faint, screen.Bold} {
		coloured = strings.ReplaceAll(coloured, "\x1b["+string(tone)+"m", "")
	}
	if strings.ReplaceAll(coloured, "\x1b[0m", "") != plain {
		t.Error("colours move the columns")
	}
}

func TestPreviewOfAChannelAlone(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	file := write(t, `
apiVersion: tocsin.dev/v1alpha1
kind: NotificationChannel
metadata: {name: soc-mail}
spec:
  type: Email
  email: {recipients: [draft@example.com], sender: t@example.com, servers: [m], subject: "%RISK% on %COMPUTER%", message: "100%%"}
`)
	event := write(t, "apiVersion: tocsin.dev/v1alpha1\nkind: SecurityEvent\nmetadata: {generateName: e-}\n"+
		"spec: {type: RiskDetected, severity: Info, title: t, computer: {name: pc}, risk: {name: EICAR}}\n")
	if code := x.run(t, "preview", "-f", file, "--event-file", event); code != 0 {
		t.Fatal(x.err.String())
	}
	for _, want := range []string{"Through soc-mail", "To:           draft@example.com", "Subject:      EICAR on pc", "  | 100%\n"} {
		if !strings.Contains(x.out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, x.out.String())
		}
	}
}

func TestPreviewSaysWhenTheEventDoesNotMeetTheFilter(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	x.run(t, "preview", "-f", cluster.Root()+"/config/samples/condition-outbreak.yaml", "--event", "traffic-0001")
	if want := "Event traffic-0001 does not meet the filter of condition outbreak: OtherType\n"; x.err.String() != want {
		t.Errorf("got %q", x.err.String())
	}
	if !strings.Contains(x.out.String(), "Through soc-mail") {
		t.Errorf("nothing is shown: %s", x.out.String())
	}
}

// Before Kubernetes 1.36 the API server does not write who acknowledges, and asks for the truth.
func TestAckSaysWhoItIsWhereTheAPIServerDoesNotWriteIt(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	x.client = interceptor.NewClient(x.client, interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			o.(*authenticationv1.SelfSubjectReview).Status.UserInfo.Username = "mara"
			return nil
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if data, err := p.Data(o); err != nil || !strings.Contains(string(data), `"by":"mara"`) {
				return apierrors.NewForbidden(schema.GroupResource{Group: "tocsin.dev", Resource: "notifications"}, o.GetName(),
					errors.New("spec.acknowledgement.by must be mara: nobody acknowledges for another"))
			}
			return c.Patch(ctx, o, p, options...)
		},
	})
	if code := x.run(t, "ack", "outbreak-2dfojryr7q", "--comment", "seen"); code != 0 {
		t.Fatalf("exit code %d: %s", code, x.err.String())
	}
	x.run(t, "show", "outbreak-2dfojryr7q", "-o", "jsonpath={.spec.acknowledgement.by}")
	if x.out.String() != "mara" {
		t.Errorf("acknowledged by %q", x.out.String())
	}
}
