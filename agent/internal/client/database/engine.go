package database

// An Engine is the program that keeps a database.
type Engine string

// The engines.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// Now returns the SQL expression of the present time, as a column of times has it.
func (e Engine) Now() string {
	if e == PostgreSQL {
		return "statement_timestamp()"
	}
	return "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')" // SQLite knows milliseconds
}
