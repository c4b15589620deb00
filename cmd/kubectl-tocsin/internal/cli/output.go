// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// output is how a verb shows objects: as a table for people, or for programs as kubectl does.
type output struct {
	flags *genericclioptions.PrintFlags
	// own are the formats that are none of flags.
	own      []string
	headless bool
	columns  []column
	printer  printers.ResourcePrinter
	// printed is how many objects were written by themselves, and custom the table of those with custom columns.
	printed int
	custom  *screen.Table
}

const (
	formatTable       = ""
	formatWide        = "wide"
	formatJSON        = "json"
	formatYAML        = "yaml"
	formatKYAML       = "kyaml"
	formatName        = "name"
	formatPathJSON    = "jsonpath-as-json"
	formatGoTemplate  = "go-template"
	formatColumns     = "custom-columns"
	formatColumnsFile = "custom-columns-file"
)

// addFlags adds what a verb needs that shows tables.
func (o *output) addFlags(a *App, c *cobra.Command) {
	o.own = []string{formatWide, formatColumns, formatColumnsFile}
	c.Flags().BoolVar(&o.headless, "no-headers", false, "Show tables without their header")
	o.addObjectFlags(a, c)
}

// addObjectFlags adds what a verb needs that shows objects, but no tables.
func (o *output) addObjectFlags(a *App, c *cobra.Command) {
	o.flags = genericclioptions.NewPrintFlags("")
	o.flags.NamePrintFlags.AddFlags(c)
	o.flags.JSONYamlPrintFlags.AddFlags(c)
	o.addFormat(a, c)
}

// addValueFlags adds what a verb needs that shows something that is no object of a cluster.
func (o *output) addValueFlags(a *App, c *cobra.Command) {
	o.flags = genericclioptions.NewPrintFlags("")
	o.flags.NamePrintFlags = nil
	o.addFormat(a, c)
}

func (o *output) addFormat(a *App, c *cobra.Command) {
	o.flags.TemplatePrinterFlags.AddFlags(c)
	o.flags.OutputFlagSpecified = func() bool { return c.Flags().Changed("output") }
	c.Flags().StringVarP(o.flags.OutputFormat, "output", "o", "", "Format of the output; one of: "+strings.Join(o.formats(), ", "))
	var all []string
	for _, format := range o.formats() {
		if withArgument(format) {
			format += "="
		}
		all = append(all, format)
	}
	a.complete(c, "output", words(all))
}

// formats are all that the verb knows, in the order of the alphabet.
func (o *output) formats() []string {
	list := append(o.flags.JSONYamlPrintFlags.AllowedFormats(), o.own...)
	if o.flags.NamePrintFlags != nil {
		list = append(list, formatName)
	}
	return slices.Sorted(slices.Values(append(list, o.flags.TemplatePrinterFlags.AllowedFormats()...)))
}

// withArgument says whether a format takes a template, a path, columns, or a file with these.
func withArgument(format string) bool {
	return !slices.Contains([]string{formatWide, formatJSON, formatYAML, formatKYAML, formatName}, format)
}

// split returns the format, and what follows it.
func (o *output) split() (format, argument string) {
	format, argument, _ = strings.Cut(*o.flags.OutputFormat, "=")
	if format == formatTable && *o.flags.TemplatePrinterFlags.TemplateArgument != "" && !o.flags.OutputFlagSpecified() {
		return formatGoTemplate, ""
	}
	if lower := strings.ToLower(format); !withArgument(lower) { // as kubectl
		return lower, argument
	}
	return format, argument
}

func (o *output) is(format string) bool {
	given, _ := o.split()
	return given == format
}

// check refuses a format that there is not, or that cannot be used.
func (o *output) check() error {
	format, argument := o.split()
	if format == formatTable {
		return nil
	}
	if !slices.Contains(o.formats(), format) || argument != "" && !withArgument(format) {
		return genericclioptions.NoCompatiblePrinterError{OutputFormat: o.flags.OutputFormat, AllowedFormats: o.formats()}
	}
	var err error
	switch format {
	case formatWide, formatName, formatJSON, formatYAML: // these are ours
	case formatColumns:
		o.columns, err = parseColumns(argument)
	case formatColumnsFile:
		o.columns, err = readColumns(argument)
	default:
		o.printer, err = o.flags.ToPrinter()
	}
	return err
}

// table says that the verb shows a table, and all else that it shows for people.
func (o *output) table() bool { return o.is(formatTable) || o.wide() }

func (o *output) wide() bool { return o.is(formatWide) }

// brief says that no more of an object is shown than a row, which brief returns.
func (o *output) brief(object client.Object) ([]screen.Cell, error) {
	switch {
	case o.is(formatName):
		if err := o.typed(object); err != nil {
			return nil, err
		}
		kind := object.GetObjectKind().GroupVersionKind()
		name := strings.ToLower(kind.Kind) + "." + kind.Group + "/" + screen.Line(object.GetName())
		return []screen.Cell{screen.Text(name)}, nil
	case o.columns != nil:
		if err := o.typed(object); err != nil {
			return nil, err
		}
		return row(o.columns, object)
	default:
		return nil, nil
	}
}

// rows writes what brief returned.
func (o *output) rows(a *App, rows [][]screen.Cell) error {
	if o.is(formatName) {
		for _, row := range rows {
			if _, err := fmt.Fprintln(a.Out, row[0].Text); err != nil {
				return err
			}
		}
		return nil
	}
	if o.custom == nil {
		o.custom = o.newTable(a, headers(o.columns)...)
	}
	return o.custom.Write(rows...)
}

// list writes objects as a list, one writes an object by itself.
func (o *output) list(a *App, objects []client.Object) error {
	if o.is(formatName) || o.columns != nil {
		return o.briefly(a, objects...)
	}
	for _, object := range objects {
		if err := o.typed(object); err != nil {
			return err
		}
	}
	if o.printer == nil {
		format, _ := o.split()
		return writeList(a.Out, format, objects)
	}
	items := make([]any, 0, len(objects))
	for _, object := range objects {
		content, err := plain(object)
		if err != nil {
			return err
		}
		items = append(items, content)
	}
	return o.print(a, map[string]any{
		"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": ""}, "items": items,
	})
}

func (o *output) one(a *App, object client.Object) error {
	if o.is(formatName) || o.columns != nil {
		return o.briefly(a, object)
	}
	if err := o.typed(object); err != nil {
		return err
	}
	if o.printed++; o.printed > 1 && o.is(formatYAML) {
		if _, err := fmt.Fprintln(a.Out, "---"); err != nil {
			return err
		}
	}
	return o.value(a, object)
}

func (o *output) briefly(a *App, objects ...client.Object) error {
	rows := make([][]screen.Cell, 0, len(objects))
	for _, object := range objects {
		row, err := o.brief(object)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return o.rows(a, rows)
}

// value writes anything that is like an object, and may be one.
func (o *output) value(a *App, value any) error {
	if o.printer == nil {
		format, _ := o.split()
		return write(a.Out, format, value)
	}
	content, err := plain(value)
	if err != nil {
		return err
	}
	return o.print(a, content)
}

// print writes what kubectl's printers make of an object, without what could do something to a terminal.
func (o *output) print(a *App, content map[string]any) error {
	var object runtime.Object = &unstructured.Unstructured{Object: content}
	if o.is(formatKYAML) { // whose printer reads YAML, in which nothing may stand that is not escaped
		data, err := toFlow(content)
		if err != nil {
			return err
		}
		object = &runtime.Unknown{Raw: data}
	}
	var out bytes.Buffer
	if err := o.printer.PrintObj(object, &out); err != nil {
		text, _, _ := strings.Cut(err.Error(), ". Printing more information") // which is the whole object
		return errors.New(text)
	}
	as := replaced
	switch {
	case o.is(formatKYAML):
		as = escapedYAML
	case o.is(formatPathJSON):
		as = escapedJSON
	}
	_, err := a.Out.Write(escape(out.String(), as))
	return err
}

// typed adds the kind, which clients leave out, and takes out who set which field where kubectl does.
func (o *output) typed(object client.Object) error {
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	kind, err := apiutil.GVKForObject(object, scheme)
	if err != nil {
		return err
	}
	object.GetObjectKind().SetGroupVersionKind(kind)
	if !o.flags.JSONYamlPrintFlags.ShowManagedFields && (o.is(formatJSON) || o.is(formatYAML) || o.is(formatKYAML)) {
		object.SetManagedFields(nil)
	}
	return nil
}

// prose are the columns with texts to read. None of them can be used elsewhere, as names can.
var prose = []string{"SUBJECT", "TITLE", "MESSAGE"}

func (o *output) newTable(a *App, header ...string) *screen.Table {
	t := screen.NewTable(a.Screen, header...)
	t.Headless = o.headless
	t.Prose = o.columns == nil && slices.Contains(prose, header[len(header)-1])
	return t
}
