package web

import (
	"regexp"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
)

// A note is what limits a comparison, as package history says it or translated.
type note struct {
	Text    string
	English bool // it has no translation into the language of the page
}

// notes returns the notes of a comparison in the language of the page.
func (v *view) notes(notes []string) (all []note) {
	for _, text := range notes {
		n := note{text, v.Lang != htmlkit.English}
		for _, t := range koreanNotes {
			if v.Lang == htmlkit.Korean && t.pattern.MatchString(text) {
				n = note{t.pattern.ReplaceAllString(text, t.text), false}
				break
			}
		}
		all = append(all, n)
	}
	return all
}

// koreanNotes translates the notes of package history. The first match counts.
var koreanNotes = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`^different procedures: (.*) before and (.*) after$`), "절차가 다릅니다. 이전: $1, 이후: $2"},
	{regexp.MustCompile(`^(\d+) different contents of the procedure: .*$`), "절차의 내용이 $1가지입니다. 단계 번호, 제한 시간, 대기 간격이 같은 단계만 비교합니다."},
	{regexp.MustCompile(`^different boards: (.*) before and (.*) after$`), "보드가 다릅니다. 이전: $1, 이후: $2"},
	{regexp.MustCompile(`^not compared: (\d+) steps? only before and (\d+) steps? only after$`), "비교하지 않은 단계: 이전에만 있는 단계 $1개, 이후에만 있는 단계 $2개"},
	{regexp.MustCompile(`^(.*): only the newest (\d+) runs count$`), "$1: 최근 $2건만 비교합니다."},
	{regexp.MustCompile(`^(.*): (\d+) runs? (?:is|are) still running$`), "$1: 아직 진행 중인 실행이 $2건 있습니다."},
	{regexp.MustCompile(`^(\d+) runs? (?:is|are) on both sides$`), "실행 $1건이 양쪽에 모두 있습니다."},
	{regexp.MustCompile(`^other contents of the procedure were run .*$`), "이 기간에 절차의 다른 내용으로 수행한 실행이 있으며, 이는 제외했습니다."},
	{regexp.MustCompile(`^one side has no runs, so nothing is compared$`), "한쪽에 실행이 없어 비교하지 않았습니다."},
	{regexp.MustCompile(`^runs and load tests are not compared with each other$`), "일반 실행과 부하 시험은 서로 비교하지 않습니다."},
	{regexp.MustCompile(`^the result of a load test has quantiles .*$`), "부하 시험의 결과에는 분위수만 있으므로 시험 두 건만으로는 차이를 판단할 수 없습니다. 각각 여러 번 수행하십시오."},
	{regexp.MustCompile(`^the load tests have different numbers of clients or rates$`), "부하 시험의 클라이언트 수나 속도가 다릅니다."},
}
