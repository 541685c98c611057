package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// minPostgres is the oldest server that is supported, in the form of server_version_num: the one of
// Debian 11.
const minPostgres = 130000

// openPostgres connects to a server.
func openPostgres(ctx context.Context, place string) (*DB, error) {
	config, err := parsePostgres(place)
	if err != nil {
		return nil, err
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "stepctl"
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(maxReaders + 1)
	db := &DB{engine: PostgreSQL, place: postgresName(config), read: pool, write: pool, config: config, retry: heartbeat}
	if err := checkServer(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// parsePostgres reads a URL. Its error has no part of the URL, which may have a password.
func parsePostgres(place string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(place)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read; it has the form postgres://user:password@host:port/database")
	}
	return config, nil
}

// postgresName returns the URL without password and options.
func postgresName(config *pgx.ConnConfig) string {
	name := url.URL{Scheme: "postgres", User: url.User(config.User), Path: "/" + config.Database,
		Host: net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))}
	return name.String()
}

// checkServer refuses a server that is too old or cannot be written.
func checkServer(ctx context.Context, db *DB) error {
	var number int
	var version string
	err := db.read.QueryRowContext(ctx,
		"SELECT current_setting('server_version_num')::int, current_setting('server_version')").Scan(&number, &version)
	if err != nil {
		return db.fault(err)
	}
	return checkVersion(db, number, version)
}

func checkVersion(db *DB, number int, version string) error {
	if number < minPostgres {
		return fmt.Errorf("the database %s has PostgreSQL %s; stepctl needs %d or later", db.place, version, minPostgres/10000)
	}
	return nil
}

// postgresTx is how migrations execute several statements at once.
func postgresTx(ctx context.Context, tx *sql.Tx, statements string) error {
	_, err := tx.ExecContext(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}
