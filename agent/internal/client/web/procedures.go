package web

import (
	"context"
	"errors"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

// proceduresPage is the list of procedures.
type proceduresPage struct{ All []database.Version }

func (s *Site) procedures(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	all, err := db.Procedures(ctx)
	return v.Words.Procedures, proceduresPage{all}, err
}

// procedurePage is the page of a procedure.
type procedurePage struct {
	Name     string
	Versions []database.Version
	From, To int64
	Diff     []diffLine
	Whole    bool // no difference is left out

	Baselines []string
}

// ignoreMissing returns an error unless it says that something is not in the database.
func ignoreMissing(err error) error {
	if errors.Is(err, database.ErrMissing) {
		return nil
	}
	return err
}

func (s *Site) procedure(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	name := v.query.Get("name")
	p := procedurePage{Name: name}
	if name == "" {
		return "", nil, &badRequest{"name", name, "name"}
	}
	var err error
	if p.Versions, err = db.Versions(ctx, name); err != nil {
		return "", nil, err
	}
	if p.Baselines, err = baselineNames(ctx, db, name); err != nil || len(p.Versions) == 0 {
		return name, p, err
	}
	p.To = p.Versions[0].Version
	p.From = max(1, p.To-1)
	for _, end := range []struct {
		name string
		to   *int64
	}{{"from", &p.From}, {"to", &p.To}} {
		if v.query.Get(end.name) == "" {
			continue
		}
		n, err := v.number(end.name, 1<<31-1)
		if err != nil {
			return "", nil, err
		}
		*end.to = int64(n)
	}
	_, before, err := db.Procedure(ctx, name, p.From)
	if err != nil {
		return "", nil, err
	}
	_, after, err := db.Procedure(ctx, name, p.To)
	if err != nil {
		return "", nil, err
	}
	p.Diff, p.Whole = diffLines(before, after)
	return name, p, nil
}
