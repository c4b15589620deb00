// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// streams says whether what is shown can be shown page by page: all of it, in the order of time, in a format that begins
// before the end is known.
func (r *reading) streams() bool { return r.tail < 0 && r.by == "" && r.printer == nil }

// stream shows what the archive has, the oldest first, each page before the next is asked for.
func (v *logVerb) stream(ctx context.Context, a *App, reader *archiveReader, spec *v1alpha1.NotificationFilterSpec) error {
	format, _ := v.split()
	out := &pages{App: a, output: &v.output, list: newListWriter(a.Out, format)}
	if v.table() {
		out.table = v.newTable(a, v.header()...)
	} else if v.columns != nil {
		out.table = v.newTable(a, headers(v.columns)...)
	}
	page := entries{tail: -1}
	reader.order = "oldest"
	reader.turned = func() error {
		err := out.write(page.list)
		page.list = page.list[:0]
		return err
	}
	if err := reader.each(ctx, spec, -1, v.chunk, func(n *v1alpha1.Notification) error { return v.add(&page, n) }); err != nil {
		return err
	}
	return out.end(reader.namespace)
}

// pages writes what is found, a page at a time.
type pages struct {
	*App
	*output

	table *screen.Table
	list  *listWriter
	some  bool
}

func (p *pages) write(found []entry) error {
	p.some = p.some || len(found) > 0
	switch {
	case len(found) == 0:
		return nil
	case found[0].row == nil:
		for _, e := range found {
			if err := p.list.add(e.object); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]screen.Cell, 0, len(found))
	for _, e := range found {
		rows = append(rows, e.row)
	}
	if p.table != nil {
		return p.table.Write(rows...)
	}
	return p.rows(p.App, rows)
}

func (p *pages) end(namespace string) error {
	switch {
	case p.is(formatJSON), p.is(formatYAML):
		return p.list.end()
	case !p.some && p.is(formatColumns), !p.some && p.is(formatColumnsFile):
		return p.table.Write()
	case !p.some && p.output.table():
		nowhere(p.App, "archived notifications", namespace)
	}
	return nil
}

// listWriter writes a List of which it never has more than an object.
type listWriter struct {
	out    io.Writer
	frame  frame
	item   func(int, any) ([]byte, error)
	last   string
	number int
}

func newListWriter(out io.Writer, format string) *listWriter {
	if format == formatJSON {
		return &listWriter{out: out, frame: listJSON, item: itemJSON, last: "\n    ]"}
	}
	return &listWriter{out: out, frame: listYAML, item: itemYAML}
}

func (w *listWriter) add(object client.Object) error {
	begin := ""
	if w.number == 0 {
		begin = w.frame.begin
	}
	data, err := w.item(w.number, object)
	if err != nil {
		return err
	}
	w.number++
	_, err = fmt.Fprintf(w.out, "%s%s", begin, data)
	return err
}

func (w *listWriter) end() error {
	text := w.last + w.frame.end
	if w.number == 0 {
		text = w.frame.begin + w.frame.empty + w.frame.end
	}
	_, err := io.WriteString(w.out, text)
	return err
}
