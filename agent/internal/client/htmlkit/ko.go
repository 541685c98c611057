package htmlkit

import "github.com/stepagent/stepagent/agent/internal/client/record"

// korean has the entries of english in the same order. A verdict is 합격, 불합격 or 판정 보류; a
// single step is 통과 or 미통과.
func korean() Words {
	return Words{
		Marks: map[record.Verdict]string{record.Pass: "합격", record.Fail: "불합격", record.Undecided: "판정 보류"},
		Results: map[record.Outcome]string{
			record.NotRun: "미실행", record.Passed: "통과", record.Failed: "거부", record.TimedOut: "시간 초과",
			record.ConnectionLost: "연결 끊김", record.WrongReply: "잘못된 응답", record.Unreachable: "미전송",
			record.Unanswered: "중단",
		},
		ColNumber:    "번호",
		ColStep:      "단계",
		ColResult:    "결과",
		ColWhy:       "사유 및 상세",
		ColTime:      "응답 시간",
		ColTimeout:   "제한 시간",
		ColInterval:  "대기 간격",
		ColPassed:    "통과",
		ColRest:      "미통과",
		ColMedian:    "응답 시간 중앙값",
		Steps:        "단계별 결과",
		Procedure:    "절차",
		Checksum:     "단계 파일의 SHA-256",
		Client:       "클라이언트",
		Agent:        "에이전트",
		Address:      "에이전트 주소",
		Session:      "세션",
		Started:      "시작 시각",
		Duration:     "소요 시간",
		Milliseconds: "%s ms",
		Seconds:      "%s초",
	}
}
