package html

import (
	"regexp"
	"strings"
)

// A phrase is a sentence of the bundled validators, of the agent or of the client in another
// language: what matches the pattern as a whole reads as text, with its groups as ${1}, ${2}.
type phrase struct {
	pattern *regexp.Regexp
	text    string
}

// translate returns a detail in the page's language, and whether it could. What somebody's
// own validator says stays as it is.
func (w *words) translate(detail string) (string, bool) {
	for _, p := range w.details {
		if p.pattern.MatchString(detail) {
			return p.pattern.ReplaceAllString(detail, p.text), true
		}
	}
	return detail, false
}

// koreanDetails are the sentences that come with the product. The first that fits counts.
func koreanDetails() []phrase {
	const step, seconds = `(-?\d+)`, `([\d.]+)`
	lost := func(cause string) string { return "the connection was lost: " + cause }
	unreached := func(cause string) string { return "the agent cannot be reached: " + cause }
	sentences := []struct{ pattern, text string }{
		{"step " + step + " must come now, got " + step + ", which is outside " + step + " to " + step,
			"기대한 단계: ${1}, 받은 단계: ${2}. 허용 범위는 ${3}~${4}입니다."},
		{"step " + step + " must come now, got " + step, "기대한 단계: ${1}, 받은 단계: ${2}."},
		{"step " + step + " would come now, which is outside " + step + " to " + step + ", got " + step,
			"기대한 단계 ${1}번은 허용 범위 ${2}~${3} 밖에 있습니다. 받은 단계: ${4}."},
		{"timeout " + seconds + " s is below the minimum of " + seconds + " s", "선언된 제한 시간 ${1}초가 최솟값 ${2}초보다 짧습니다."},
		{seconds + " s too early: waited " + seconds + " s, declared " + seconds + " s, tolerance " + seconds + " s",
			"${1}초 일찍 보냈습니다. 실제 대기 ${2}초, 선언 ${3}초, 허용 오차 ${4}초."},
		{seconds + " s too late: waited " + seconds + " s, declared " + seconds + " s, tolerance " + seconds + " s",
			"${1}초 늦게 보냈습니다. 실제 대기 ${2}초, 선언 ${3}초, 허용 오차 ${4}초."},
		{"the agent stops", "에이전트가 종료되는 중입니다."},
		{`the agent has (\d+) sessions open, which is its limit; try again later`, "열린 세션이 한도인 ${1}개에 도달했습니다. 나중에 다시 시도하십시오."},
		{"too many replies of this connection are outstanding; wait for them", "이 연결에서 아직 보내지 못한 응답이 너무 많습니다."},
		{`validator (\S+) gave no verdict: .*`, "판정하지 못한 검증기: ${1}."},
		{`validator (\S+) is undecided`, "판정을 유보한 검증기: ${1}."},
		{"a further reply", "이미 받은 응답이 다시 왔습니다."},
		{"a late reply", "늦게 온 응답입니다."},
		{"a reply to step " + step + " instead of step " + step, "단계 ${2}번을 기다리는 중에 단계 ${1}번에 대한 응답이 왔습니다."},
		{`a reply to session "(.*)" instead of "(.*)"`, "세션 “${2}”의 응답을 기다리는 중에 세션 “${1}”에 대한 응답이 왔습니다."},
		{"a reply that nobody waits for", "기다리는 단계가 없을 때 온 응답입니다."},
		{"a reply with code 0 and no step_id", "코드는 0이지만 step_id가 없는 응답입니다."},
		{"a refusal that does not say of what", "무엇에 대한 것인지 알 수 없는 거부 응답입니다."},
		{"a reply without the req that the replies before it had", "앞선 응답과 달리 req가 없는 응답입니다."},
		{`a reply to req (.*), which was not asked`, "보낸 적이 없는 req ${1}에 대한 응답입니다."},
		{`the agent sent error code (-?\d+) and no reason`, "에이전트가 사유 없이 보낸 오류 코드: ${1}."},
		{lost("the agent closed it"), "에이전트가 연결을 닫았습니다."},
		{lost(".*connection reset by peer"), "상대측이 연결을 재설정(RST)했습니다."},
		{lost(".*broken pipe"), "이미 닫힌 연결이라 보낼 수 없었습니다."},
		{lost(".*"), "네트워크 오류로 연결이 끊어졌습니다."},
		{unreached(".*connection refused"), "연결이 거부되었습니다. 해당 포트에서 대기 중인 프로그램이 없습니다."},
		{unreached(".*no such host"), "호스트 이름을 찾을 수 없습니다."},
		{unreached(".*(i/o timeout|deadline exceeded)"), "연결 시간이 초과되었습니다."},
		{unreached(".*(no route to host|network is unreachable)"), "해당 주소로 가는 경로가 없습니다."},
		{unreached(".*"), "네트워크 오류로 연결하지 못했습니다."},
	}
	phrases := make([]phrase, len(sentences))
	for i, s := range sentences {
		phrases[i] = phrase{regexp.MustCompile("^(?:" + s.pattern + ")$"), s.text}
	}
	return phrases
}

// quotable returns a detail for the page: what it says in the page's language, or the text
// itself to be quoted.
func (w *words) quotable(detail string) (said, quote string) {
	if w.details == nil { // the page is in the details' own language
		return "", detail
	}
	if text, ok := w.translate(strings.TrimSpace(detail)); ok {
		return text, ""
	}
	return "", detail
}
