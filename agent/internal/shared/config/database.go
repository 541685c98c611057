package config

import (
	"net/url"
	"slices"
	"strings"
)

// databaseCheck is the check of the place of a database, whose password is not shown.
const databaseCheck = "database"

// postgresSchemes begin the URLs of PostgreSQL databases.
func postgresSchemes() []string { return []string{"postgres://", "postgresql://"} }

// IsPostgres reports whether the place of a database is the URL of a PostgreSQL server. Any other
// place is the name of a SQLite file.
func IsPostgres(place string) bool {
	return slices.ContainsFunc(postgresSchemes(), func(scheme string) bool { return strings.HasPrefix(place, scheme) })
}

// secretParameters are the parameters of a PostgreSQL URL that are secrets: the section "Parameter Key
// Words" of the chapter libpq in the PostgreSQL manual.
func secretParameters() []string { return []string{"password", "sslpassword"} }

// hiddenPassword replaces a password, as in url.URL.Redacted.
const hiddenPassword = "xxxxx"

// WithoutPassword returns the place of a database for people: in a URL, passwords are replaced by xxxxx. A
// URL that cannot be parsed is cut after its scheme, because its password cannot be told from the rest.
func WithoutPassword(place string) string {
	scheme, rest, found := strings.Cut(place, "://")
	if !found {
		return place
	}
	at, err := url.Parse(place)
	if err != nil {
		return scheme + "://" + strings.Repeat(".", min(3, len(rest)))
	}
	if _, has := at.User.Password(); has {
		at.User = url.UserPassword(at.User.Username(), hiddenPassword)
	}
	if at.RawQuery != "" {
		at.RawQuery = hideParameters(at.RawQuery)
	}
	return at.String()
}

// hideParameters replaces the values of secret parameters in a query, and keeps the order of all.
func hideParameters(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || slices.Contains(secretParameters(), strings.ToLower(plain)) {
			pairs[i] = name + "=" + hiddenPassword
		}
	}
	return strings.Join(pairs, "&")
}

// checkDatabase checks the place of a database, which may be empty. Its messages show no password.
func checkDatabase(place string) string {
	scheme, _, found := strings.Cut(place, "://")
	switch {
	case !printable(place):
		return "the place of the database has unprintable characters; take them out"
	case !found:
		return ""
	case !IsPostgres(place):
		return show(scheme) + " is no scheme of a database; write postgres://USER@HOST/NAME, or the name of a file"
	}
	if at, err := url.Parse(place); err != nil || at.Host == "" && at.RawQuery == "" {
		return "the URL of the database is not valid; write postgres://USER@HOST/NAME, with " +
			"characters such as @ and / in a password as %40 and %2F"
	}
	return ""
}
