package html

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A translation is for details of the bundled validators, the agent or the client: a detail that
// matches the pattern becomes the text, with the pattern's groups as ${1}, ${2}.
type translation struct {
	pattern *regexp.Regexp
	text    string
}

// translate returns a detail in the page's language, and whether it has a translation. Details of
// a user's own validators have none.
func (w *words) translate(detail string) (string, bool) {
	for _, p := range w.details {
		if p.pattern.MatchString(detail) {
			return p.pattern.ReplaceAllString(detail, p.text), true
		}
	}
	return detail, false
}

// koreanDetails translates the details that come with the product. The first match counts.
func koreanDetails() []translation {
	const step, seconds = `(-?\d+)`, `([\d.]+)`
	lost := func(cause string) string { return "the connection was lost: " + cause }
	unreached := func(cause string) string { return "the agent cannot be reached: " + cause }
	sentences := []struct{ pattern, text string }{
		{"step " + step + " must come now, got " + step + ", which is outside " + step + " to " + step,
			"기대한 단계: ${1}, 받은 단계: ${2}. 허용 범위는 ${3}~${4}입니다."},
		{"step " + step + " must come now, got " + step, "기대한 단계: ${1}, 받은 단계: ${2}."},
		{"step " + step + " would come now, which is outside " + step + " to " + step + ", got " + step,
			"기대한 단계: ${1}, 받은 단계: ${4}. 기대한 단계가 허용 범위 ${2}~${3}을 벗어납니다."},
		{"timeout " + seconds + " s is below the minimum of " + seconds + " s", "선언한 제한 시간 ${1}초가 최솟값 ${2}초보다 짧습니다."},
		{seconds + " s too early: waited " + seconds + " s, declared " + seconds + " s, tolerance " + seconds + " s",
			"${1}초 일찍 전송했습니다. 실제 대기 ${2}초, 선언 ${3}초, 허용 오차 ${4}초."},
		{seconds + " s too late: waited " + seconds + " s, declared " + seconds + " s, tolerance " + seconds + " s",
			"${1}초 늦게 전송했습니다. 실제 대기 ${2}초, 선언 ${3}초, 허용 오차 ${4}초."},
		{"the agent stops", "에이전트가 종료 중입니다."},
		{`the agent has (\d+) sessions open.*, which is its limit; try again later`, "열린 세션이 한도인 ${1}개에 도달했습니다. 나중에 다시 시도하십시오."},
		{`the session name "(.*)" is not one that (.*) may use; ask for it in tls.clients`,
			"세션 이름 “${1}”은(는) ${2}에 허용되지 않았습니다. 에이전트 설정의 tls.clients에 추가해 달라고 요청하십시오."},
		{"too many replies of this connection are outstanding; wait for them", "이 연결에 아직 전송하지 못한 응답이 너무 많습니다. 응답을 받은 뒤 다시 시도하십시오."},
		{`validator (\S+) gave no verdict: .*`, "검증기 ${1}: 판정하지 못했습니다."},
		{`validator (\S+) is undecided`, "검증기 ${1}: 판정을 보류했습니다."},
		{"a further reply", "이미 받은 응답의 중복입니다."},
		{"a late reply", "제한 시간이 지나 도착한 응답입니다."},
		{"a reply to step " + step + " instead of step " + step, "단계 ${2}의 응답을 기다리는 중에 단계 ${1}의 응답이 도착했습니다."},
		{`a reply to session "(.*)" instead of "(.*)"`, "세션 “${2}”의 응답을 기다리는 중에 세션 “${1}”의 응답이 도착했습니다."},
		{"a reply that answers no open request", "응답을 기다리는 단계가 없을 때 도착했습니다."},
		{"a reply with code 0 and no step_id", "오류 코드는 0이지만 step_id가 없는 응답입니다."},
		{"a refusal that does not say of what", "어떤 요청에 대한 것인지 알 수 없는 거부 응답입니다."},
		{"a reply without the req that the replies before it had", "이전 응답과 달리 req가 없는 응답입니다."},
		{`a reply to req (.*), which was not asked`, "전송한 적이 없는 req ${1}에 대한 응답입니다."},
		{`the agent sent error code (-?\d+) and no reason`, "에이전트가 사유 없이 오류 코드만 보냈습니다: ${1}."},
		{lost("the agent closed it"), "에이전트가 연결을 닫았습니다."},
		{lost(".*connection reset by peer"), "상대방이 연결을 재설정(RST)했습니다."},
		{lost(".*broken pipe"), "연결이 이미 닫혀 전송할 수 없었습니다."},
		{lost(".*"), "네트워크 오류로 연결이 끊어졌습니다."},
		{`\S+ answers without TLS; .*`, "이 포트는 TLS를 사용하지 않습니다. --tls를 빼거나 에이전트의 TLS 포트를 지정하십시오."},
		{"the port speaks TLS; .*", "이 포트에는 TLS로 연결해야 합니다. --tls를 지정하고, 에이전트 인증서의 CA를 --ca로 지정하십시오."},
		{`\S+ does not speak TLS: .*`, "이 포트의 프로그램은 TLS를 사용하지 않습니다. --host와 --port를 확인하십시오."},
		{unreached("TLS handshake with .*: (?:EOF|unexpected EOF)"), "TLS 핸드셰이크 도중에 상대방이 연결을 닫았습니다."},
		{unreached(".*connection refused"), "연결이 거부되었습니다. 해당 포트에서 수신 대기 중인 프로그램이 없습니다."},
		{unreached(".*no such host"), "호스트 이름을 찾을 수 없습니다."},
		{unreached(".*(i/o timeout|deadline exceeded)"), "연결 시간이 초과되었습니다."},
		{unreached(".*(no route to host|network is unreachable)"), "해당 주소로 가는 경로가 없습니다."},
		{unreached(".*"), "네트워크 오류로 연결하지 못했습니다."},
	}
	all := make([]translation, len(sentences))
	for i, s := range sentences {
		all[i] = translation{regexp.MustCompile("^(?:" + s.pattern + ")$"), s.text}
	}
	return all
}

// translateOrQuote returns a detail translated into the page's language; or, where it needs no
// translation or has none, the detail itself to be quoted.
func (w *words) translateOrQuote(detail string) (translated, quote string) {
	detail = w.shorten(detail)
	if w.details == nil {
		return "", detail
	}
	if text, ok := w.translate(strings.TrimSpace(detail)); ok {
		return text, ""
	}
	return "", detail
}

// maxQuoteRunes is how much of a text from elsewhere is shown.
const maxQuoteRunes = 500

// shorten makes text from elsewhere safe to show, and cuts it to maxQuoteRunes.
func (w *words) shorten(text string) string {
	runes := []rune(logging.Clean(text))
	if len(runes) <= maxQuoteRunes {
		return string(runes)
	}
	return string(runes[:maxQuoteRunes]) + fmt.Sprintf(w.Shortened, len(runes))
}
