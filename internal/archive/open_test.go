// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/archive"
)

func TestLocations(t *testing.T) {
	t.Parallel()
	for location, wrong := range map[string]string{
		"sqlite:///var/lib/tocsin/log.db":                             "",
		"postgres://tocsin@db.example.com/tocsin?sslmode=verify-full": "",
		"postgres://": "",
		"postgresql:///tocsin?host=/run/postgresql&pool_max_conns=3": "",
		"":                    "is not a kind of archive",
		"log.db":              "is not a kind of archive",
		"mysql://db/log":      `"mysql" is not a kind`,
		"sqlite://":           "path of the file is missing",
		"sqlite:///":          "path of the file is missing",
		"sqlite:log.db":       "path of the file is missing",
		"sqlite://var/log.db": "sqlite:///var/log.db",
		"sqlite:///log.db?_pragma=synchronous(0)":                             "nothing but the path",
		"postgres://tocsin:hunter2@db.example.com/tocsin":                     "PGPASSWORD",
		"postgres://tocsin@db.example.com/tocsin?password=hunter2":            "PGPASSWORD",
		"postgres://tocsin@db.example.com/tocsin?sslpassword=hunter2":         "PGPASSWORD",
		"postgres://tocsin:hunter2@db.example.com:no/tocsin":                  "not a URL",
		"postgres://tocsin:hunter2:hunter2@[::1/tocsin":                       "not a URL",
		"postgres://db.example.com/tocsin?sslmode=perhaps":                    "sslmode",
		"postgres://db.example.com/tocsin?sslmode=verify-ca&sslrootcert=/no%": "percent-encoded",
	} {
		d, err := archive.New(location)
		if wrong == "" {
			if err != nil {
				t.Errorf("%s: %v", location, err)
			} else if err := d.Close(); err != nil {
				t.Errorf("%s: %v", location, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want an error with %q", location, err, wrong)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", location, err)
		}
	}
}
