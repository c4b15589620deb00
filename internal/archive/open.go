// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"errors"
	"fmt"
	"net/url"
)

// New returns the archive at a location: sqlite:///path/file.db or postgres://user@host/database. It only looks at what the
// location says; the database may be away. An error never shows what the location says of passwords.
func New(location string) (*Database, error) {
	parsed, err := url.Parse(location)
	if err != nil {
		// what is wrong may be a part of a password
		return nil, errors.New("it is not a URL such as sqlite:///path/file.db or postgres://user@host/database")
	}
	switch parsed.Scheme {
	case "sqlite":
		return newSQLite(parsed)
	case "postgres", "postgresql":
		return newPostgres(parsed, location)
	default:
		return nil, fmt.Errorf("%q is not a kind of archive; there are sqlite:///path/file.db and postgres://user@host/database",
			parsed.Scheme)
	}
}
