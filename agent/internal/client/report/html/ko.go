package html

import (
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// korean has the entries of english in the same order. A verdict is 합격, 불합격 or 판정 보류; a
// single step is 통과 or 미통과.
func korean() *words {
	return &words{
		Words: htmlkit.Korean.Words(),

		Pass:        "시험 결과는 합격입니다. 전체 %d개 단계가 정해진 순서대로 제한 시간 안에 정상 응답을 받았습니다.",
		PassOne:     "시험 결과는 합격입니다. 유일한 단계가 제한 시간 안에 정상 응답을 받았습니다.",
		Fail:        "시험 결과는 불합격입니다. 전체 %[2]d개 단계 중 %[1]d개가 통과하지 못했습니다.",
		FailStopped: "시험 결과는 불합격이며, 시험은 도중에 중단되었습니다. 전체 %[2]d개 단계 중 %[1]d개가 통과하지 못했습니다.",
		FailCut:     "시험 결과는 불합격이며, 기록이 도중에 끊겼습니다. 전체 %[2]d개 단계 중 %[1]d개가 통과하지 못했습니다.",
		Stopped:     "시험이 도중에 중단되어 판정을 보류합니다. 전체 %[2]d개 단계 중 %[1]d개가 통과했고 %[3]d개는 완료되지 않았습니다.",
		Cut:         "기록이 도중에 끊겨 판정을 보류합니다. 전체 %[2]d개 단계 중 %[1]d개가 통과했고 %[3]d개는 완료되지 않았습니다.",
		Unreached:   "시험을 시작하지 못했습니다. 에이전트(%s)에 연결할 수 없어 아무것도 전송하지 않았습니다.",
		Refused:     "에이전트(%s)와 보안 연결을 맺지 못해 시험을 계속할 수 없었습니다. 전체 %[3]d개 단계 중 %[2]d개가 통과했습니다.",
		Nothing:     "실행된 단계가 없어 판정을 보류합니다.",

		Title: "시험 보고서", Subtitle: "절차 %s, 에이전트 %s", When: "%s 시작, 소요 시간 %s",
		ReconnectedOnce:  "실행 중에 에이전트에 연결할 수 없던 시간이 %s 있었으며, 다시 연결한 뒤 이어서 진행했습니다.",
		ReconnectedOften: "실행 중에 에이전트에 %d번 다시 연결했습니다. 연결할 수 없던 시간은 모두 %s입니다.",
		ReconnectedSoon:  "단계 사이에 끊어져 다시 맺은 연결: %d개.",
		NoVerdictFor:     "에이전트에 연결할 수 없거나 판정을 받지 못한 시간이 모두 %s이며, 해당 단계는 다시 전송했습니다.",
		Skip:             "단계별 결과로 바로 가기",

		Moved:      "단계 %d부터는 %s의 에이전트로 이어서 진행했습니다.",
		MovedFirst: "실행은 %s의 에이전트로 시작했습니다.",
		MovedOften: "다른 에이전트로 %d회 옮겨 진행했으며, 마지막으로 단계 %d부터 %s의 에이전트로 진행했습니다.",
		SentTo:     "%s의 에이전트로 전송했습니다.", NoSuchSession: "%s의 에이전트에는 이 세션이 없어 첫 단계를 기대했습니다.",

		Interrupted:        "실행이 단계 %[2]d 이후 %[1]s 동안 중단되었다가 재개되었습니다.",
		InterruptedWaiting: "단계 %[2]d의 응답을 기다리던 중 실행이 %[1]s 동안 중단되었습니다. 그 뒤 이 단계부터 재개되었습니다.",
		InterruptedFirst:   "첫 단계를 전송하기 전에 실행이 %s 동안 중단되었다가 재개되었습니다.",
		InterruptedOften:   "실행이 %d회 중단되었다가 재개되었습니다. 중단된 시간은 모두 %s입니다.",
		SessionGone:        "실행을 재개했을 때 에이전트에 세션이 남아 있지 않아, 에이전트는 첫 단계를 기대했습니다.",

		Problems: "발생한 문제", ProblemsIntro: "발생한 순서대로 정리했습니다. 번호를 누르면 아래의 해당 단계로 이동합니다.",
		ProblemSteps: "해당 단계:", ProblemNumbers: "해당 번호:", More: "외 %d개",
		OtherProblems: "이 밖에 %d개 단계가 다른 이유로 통과하지 못했습니다.", StraysCut: "처음 %d개만 표시합니다.",
		LateReply: "제한 시간이 지나 도착한 응답이 %d개 있습니다. 결과에는 반영하지 않았습니다.", LateReplies: "제한 시간이 지나 도착한 응답이 %d개 있습니다. 결과에는 반영하지 않았습니다.",
		StrayMessage: "어떤 요청에도 대응하지 않는 메시지가 %d개 있습니다. 결과에는 반영하지 않았습니다.", StrayMessages: "어떤 요청에도 대응하지 않는 메시지가 %d개 있습니다. 결과에는 반영하지 않았습니다.",
		Dropped: "그중 %d개는 개수만 세고 내용은 기록하지 않았습니다.",

		Overview: "실행 개요", OverviewTitle: "실행 타임라인",
		OverviewDesc:    "단계 %d개를 시간순으로 표시합니다. 통과 %d개, 미통과 %d개, 소요 시간 %s.",
		OverviewCaption: "실행 시작부터 종료까지의 타임라인입니다. 낮은 막대는 통과한 단계, 높은 막대는 통과하지 못한 단계이며, 막대 사이의 선은 다음 단계를 보내기 전의 대기 간격입니다.",
		Legend:          "차트 범례",
		LegendReply:     "응답 대기: 통과", LegendRefused: "응답 대기: 거부",
		LegendNone: "응답 대기: 시간 초과", LegendBroken: "응답 대기: 연결 끊김 또는 잘못된 응답",
		LegendLimit: "제한 시간: 이 시점 전에 응답이 와야 함", LegendBeyond: "제한 시간이 차트 범위를 벗어남",
		LegendDeclared: "선언한 대기 간격", LegendKept: "실제 대기 간격",
		LegendLate: "늦은 응답", LegendDuplicate: "중복 응답",

		StepsCaption: "모든 단계를 절차에 정해진 순서대로 표시합니다.",
		Group:        "%d~%d번: 통과 %d개, 미통과 %d개",

		ColChart:      "전송 후 경과 시간",
		LongIntro:     "단계가 %d개로 많아 모든 단계를 한 행씩 표시하지는 않습니다. 통과하지 못한 단계를 먼저 표시하고, 이어서 전체 단계를 최대 %d개씩 묶어 요약합니다. 모든 단계의 상세 내용은 실행 기록과 기계 판독용 보고서에 있습니다.",
		RangesCaption: "절차의 순서에 따라 구간별로 요약했습니다. 응답 시간은 에이전트가 응답한 단계만 집계했습니다.",
		ColRange:      "단계 구간", ColLongest: "최대 응답 시간",
		Range: "%d~%d번", AllSteps: "전체 단계", FailedSteps: "통과하지 못한 단계",
		FailedCaption: "절차에 정해진 순서대로 표시합니다.", FailedGroup: "%d~%d번 중 통과하지 못한 단계 %d개",
		NotShown: "이 밖에 통과하지 못한 단계 %d개는 표시하지 않았습니다.", Shortened: "… (전체 %d자)",
		Scale: "0~%s",
		Fates: map[record.Outcome]string{
			record.NotRun: "차례가 되기 전에 실행이 종료되어 수행하지 않았습니다.", record.Passed: "통과했습니다.", record.Failed: "에이전트가 거부했습니다.",
			record.TimedOut: "제한 시간 안에 응답이 없었습니다.", record.ConnectionLost: "연결이 끊어졌습니다.",
			record.WrongReply: "요청과 맞지 않는 응답을 받았습니다.", record.Unreachable: "연결하지 못해 전송하지 않았습니다.",
			record.Unanswered: "전송했으나 응답을 받기 전에 실행이 종료되었습니다.",
		},
		Reasons: map[protocol.Reason]string{
			protocol.OutOfOrder:           "단계의 순서가 맞지 않습니다.",
			protocol.TimeoutTooShort:      "선언한 제한 시간이 에이전트가 허용하는 최솟값보다 짧습니다.",
			protocol.IntervalNotKept:      "클라이언트가 선언한 대기 간격을 지키지 않았습니다.",
			protocol.RuleBroken:           "에이전트에 설정된 규칙을 위반했습니다.",
			protocol.BadMessage:           "에이전트가 메시지를 해석하지 못했습니다.",
			protocol.BadRequest:           "메시지의 필드가 없거나 값이 잘못되었습니다.",
			protocol.ValidatorUnavailable: "검증기가 제때 판정하지 못했습니다. 클라이언트의 문제가 아닙니다.",
			protocol.Busy:                 "에이전트가 처리 한도에 도달했습니다. 클라이언트의 문제가 아닙니다.",
			protocol.ShuttingDown:         "에이전트가 종료 중이었습니다. 클라이언트의 문제가 아닙니다.",
			protocol.Internal:             "에이전트에서 내부 오류가 발생했습니다. 클라이언트의 문제가 아닙니다.",
			protocol.Timeout:              "제한 시간 안에 응답이 오지 않았습니다.",
			protocol.ConnectionLost:       "응답을 받기 전에 연결이 끊어졌습니다.",
			protocol.WrongReply:           "수신한 메시지가 이 단계의 응답이 아닙니다.",
			protocol.Unreachable:          "에이전트에 연결할 수 없었습니다.",
		},
		UnknownReason: "알 수 없는 사유입니다.", NoReason: "에이전트가 사유를 보내지 않았습니다.",
		Quoted: "원문:", LateAfter: "응답이 %s 만에 도착해 제한 시간을 넘겼습니다.", Again: "같은 단계를 앞서 %d번에서 전송했습니다.",
		Duplicates:  "중복 응답을 %d회 받았습니다.",
		Reconnected: "%s 동안 에이전트에 연결할 수 없어 다시 연결했습니다.", ReconnectedBefore: "이전 단계 이후 연결이 끊어져, 전송하기 전에 다시 연결했습니다.",
		WasAway: "%s 동안 에이전트에 연결할 수 없었습니다.", WasBusy: "%s 동안 에이전트가 요청을 처리하지 못했습니다.",
		NoValidator: "%s 동안 검증기를 사용할 수 없었습니다.", SentTimes: "같은 요청을 %d번 전송했습니다.",
		Kept: "실제 %s", NotKept: "이후 대기 없음",
		RowTitle: "단계 %d: %s, 응답까지 %s, 제한 시간 %s",

		Strays: "요청에 대응하지 않는 메시지", StraysCaption: "에이전트가 추가로 보낸 메시지입니다. 결과에는 반영하지 않았습니다.",
		StrayKind: "종류", StrayAt: "시각", StrayDetail: "상세",
		StrayKinds: map[record.Stray]string{record.StrayDuplicate: "중복 응답", record.StrayUnsolicited: "요청하지 않은 응답",
			record.StrayGarbage: "응답 형식이 아닌 데이터"},

		Where: "소요 시간 분석", WhereSentence: "클라이언트 기록과 에이전트 기록을 대조한 결과입니다. 클라이언트가 응답 %[1]d개를 기다린 시간은 모두 %[2]s입니다.",
		WhereAway:     "실행 중 에이전트가 없던 횟수는 %d회, 합쳐서 %s입니다.",
		WhereIdentity: "에이전트가 인증서로 확인한 클라이언트 신원은 %s입니다.",
		WhereLacks:    "에이전트 기록에서 이벤트 %d개가 누락되었습니다.",
		WhereCaption:  "실행 시간을 항목별로 나누어 표시합니다.", WherePart: "항목", WhereTime: "시간", WhereShare: "응답 대기 시간 중 비율", WhereMeaning: "설명",
		WhereLink: "네트워크", WhereQueue: "에이전트 대기열", WhereValidators: "검증기", WhereAgent: "에이전트 처리", WhereFault: "주입된 지연", WhereNoAgent: "에이전트 부재",
		WhereIntervals: "클라이언트 대기 간격", WhereClient: "클라이언트 기타",
		MeansLink:       "요청과 응답이 오가는 데 걸린 시간입니다. 양쪽 장비의 송수신 처리와 판정을 받지 못한 전송을 포함합니다.",
		MeansQueue:      "세션의 처리 순서와 검증기 프로세스를 기다린 시간입니다.",
		MeansValidators: "검증기가 판정하는 데 걸린 시간입니다. 여러 그룹이 동시에 판정했다면 가장 느린 그룹의 시간입니다.",
		MeansAgent:      "요청을 읽고 판정을 종합해 응답을 쓰는 데 걸린 시간입니다.",
		MeansFault:      "결함 주입 설정에 따라 응답을 지연시킨 시간입니다.",
		MeansNoAgent:    "에이전트에 연결할 수 없거나 판정을 받지 못해 단계를 다시 보낼 때까지 걸린 시간입니다.",
		MeansIntervals:  "절차에 정해진 대로 각 단계 뒤에 대기한 시간입니다.",
		MeansClient:     "단계 사이의 나머지 시간입니다. 에이전트가 없어 단계를 보내지 못한 시간을 포함합니다.",
		BothViews:       "단계별 클라이언트·에이전트 기록 대조", BothCaption: "응답이 유실되거나 늦은 경우, 결함 주입으로 변조된 경우에는 두 기록이 다를 수 있습니다.",
		ColClient: "클라이언트", ColAgent: "에이전트", AgentSilent: "기록 없음", AgentPassed: "통과",
		AgentRefused: "거부: %s", AgentRetried: "같은 요청 %d회 재수신", AgentFault: "주입된 결함: %s",

		About:        "실행 정보",
		AgentUnknown: "버전 미확인", Host: "클라이언트 호스트", NoSession: "지정하지 않음",
		Ending: "종료 상태", Format: "기록 형식",
		Secured: "연결 보안", SecuredBy: "TLS %s, 에이전트 인증서 %s (발급자 %s, 일련번호 %s, 만료일 %s)",
		SecuredClient: ", 클라이언트 인증서 %s", SecuredKeys: ", 연결 키 파일 %s",
		Endings: map[record.Cause]string{
			record.Finished: "완료: 모든 단계를 수행함", record.Interrupted: "중단: 사용자가 실행을 중단함",
			record.Lost: "연결 실패: 에이전트에 연결하지 못함", record.Refused: "연결 거부: 보안 연결을 맺지 못함",
			"": "종료 기록 없음: 클라이언트가 강제 종료되었거나 아직 실행 중임",
		},

		Glossary: "용어 설명",
		Terms: []term{
			{"절차", "시험할 단계를 순서대로 정한 목록입니다."},
			{"단계", "클라이언트의 요청 한 건과 그에 대한 에이전트의 응답입니다."},
			{"제한 시간", "클라이언트가 응답을 기다리는 최대 시간입니다. 그 뒤에 도착한 응답은 인정하지 않습니다."},
			{"대기 간격", "한 단계가 끝난 뒤 다음 단계를 전송하기 전까지 클라이언트가 대기하는 시간입니다."},
			{"클라이언트", "절차를 수행하는 프로그램입니다."},
			{"에이전트", "보드에서 실행되며, 각 단계가 순서와 시간을 지켰는지 판정하는 프로그램입니다."},
			{"사유", "단계가 통과하지 못한 이유를 나타내는 식별자입니다."},
		},
		Footer: "모든 시간은 클라이언트의 실행 기록에서 가져온 값이며, 단조 시계로 측정했습니다.",

		Boards: koreanBoards(),

		details: koreanDetails(),
	}
}
