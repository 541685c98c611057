package web

import (
	"context"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

type comparisonWords struct{}

func (s *Site) compare(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	return "", nil, errNoPage
}
