package jsonl

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSecondsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := time.Duration(rapid.Int64Min(0).Draw(t, "nanoseconds"))
		text, err := Seconds(want).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got Seconds
		if err := got.UnmarshalJSON(text); err != nil || time.Duration(got) != want {
			t.Fatalf("%d became %s and then %d, error %v", want, text, got, err)
		}
	})
}
