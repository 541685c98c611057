package main

import (
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/voicetest"
)

func TestVoice(t *testing.T) { voicetest.Commands(t, newRoot()) }
