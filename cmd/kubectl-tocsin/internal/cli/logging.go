// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"flag"
	"io"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// addVerbosity adds kubectl's -v, which tells of requests to the API server, and has what the libraries log written where
// nothing of it can do anything to a terminal.
func addVerbosity(to *pflag.FlagSet, out io.Writer) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true"} {
		if err := flags.Set(name, value); err != nil {
			panic(err) // klog has no such flag: a mistake of this program
		}
	}
	klog.SetOutput(clean{out}) //nolint:logcheck // what the libraries log is client-go's, with klog
	to.AddGoFlag(flags.Lookup("v"))
	to.Lookup("v").Usage = "Level of what is told about requests to the API server: 6 tells of each, 8 of its content, too"
}
