package html

import (
	"github.com/stepagent/stepagent/agent/internal/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

func korean() *words {
	return &words{
		Pass:        "시험에 합격했습니다. 단계 %d개가 모두 순서와 제한 시간을 지켜 정상 응답을 받았습니다.",
		PassOne:     "시험에 합격했습니다. 하나뿐인 단계가 제한 시간 안에 정상 응답을 받았습니다.",
		Fail:        "시험에 불합격했습니다. 전체 %[2]d개 단계 중 %[1]d개가 통과하지 못했습니다.",
		FailStopped: "시험에 불합격했고, 끝나기 전에 중단되었습니다. 전체 %[2]d개 단계 중 %[1]d개가 통과하지 못했습니다.",
		FailCut:     "시험에 불합격했고, 기록이 시험 도중에 끊겼습니다. 전체 %[2]d개 단계 중 %[1]d개가 통과하지 못했습니다.",
		Stopped:     "시험이 끝나기 전에 중단되어 판정할 수 없습니다. 전체 %[2]d개 단계 중 %[1]d개는 통과했고 %[3]d개는 끝나지 않았습니다.",
		Cut:         "기록이 시험 도중에 끊겨 판정할 수 없습니다. 전체 %[2]d개 단계 중 %[1]d개는 통과했고 %[3]d개는 끝나지 않았습니다.",
		Unreached:   "시험을 시작하지 못했습니다. %s의 에이전트에 연결할 수 없어 아무것도 보내지 않았습니다.",
		Nothing:     "실행된 단계가 없어 판정할 수 없습니다.",

		MarkPass: "합격", MarkFail: "불합격", MarkUndecided: "판정 불가",
		Title: "시험 보고서", Subtitle: "%s, 대상 %s", When: "%s에 시작, 소요 시간 %s.",
		Skip: "단계 목록으로 건너뛰기",

		Problems: "발생한 문제", ProblemsIntro: "발생한 순서대로 정리했습니다. 번호를 누르면 아래의 해당 단계로 이동합니다.",
		ProblemSteps: "해당 단계:", More: "외 %d개",
		LateReply: "제한 시간이 지난 뒤에 도착한 응답이 %d개 있습니다. 결과에는 반영되지 않습니다.", LateReplies: "제한 시간이 지난 뒤에 도착한 응답이 %d개 있습니다. 결과에는 반영되지 않습니다.",
		StrayMessage: "어떤 요청에도 해당하지 않는 메시지가 %d개 도착했습니다.", StrayMessages: "어떤 요청에도 해당하지 않는 메시지가 %d개 도착했습니다.",
		Dropped: "이 가운데 %d개는 개수만 세고 기록하지 않았습니다.",

		Overview: "실행 한눈에 보기", OverviewTitle: "실행 타임라인",
		OverviewDesc:    "단계 %d개를 시간순으로 표시합니다. %d개는 통과했고 %d개는 통과하지 못했습니다. 총 소요 시간은 %s입니다.",
		OverviewCaption: "실행의 시작부터 끝까지를 나타냅니다. 낮은 막대는 통과한 단계, 높은 막대는 통과하지 못한 단계이며, 막대 사이의 선은 다음 단계까지의 대기입니다.",
		Legend:          "차트 기호",
		LegendReply:     "정상 응답을 받기까지의 대기", LegendRefused: "거부 응답을 받기까지의 대기",
		LegendNone: "제한 시간 안에 응답이 오지 않은 대기", LegendBroken: "연결이 끊기거나 다른 응답이 오기까지의 대기",
		LegendLimit: "제한 시간: 응답은 이 선보다 먼저 와야 합니다", LegendBeyond: "제한 시간이 차트 범위를 벗어남",
		LegendDeclared: "선언된 대기 간격", LegendKept: "실제로 지킨 대기 간격",
		LegendLate: "늦게 온 응답", LegendDuplicate: "중복 응답",

		Steps: "단계별 결과", StepsCaption: "절차에 정해진 순서대로 모든 단계를 표시합니다.",
		Group:     "%d번~%d번: 통과 %d개, 미통과 %d개",
		ColNumber: "번호", ColStep: "단계", ColResult: "결과", ColWhy: "사유와 상세", ColTime: "응답 시간",
		ColTimeout: "제한 시간", ColInterval: "대기 간격", ColChart: "전송 후 경과",
		Scale: "0~%s",
		Results: map[record.Outcome]string{
			record.NotRun: "미실행", record.Passed: "통과", record.Failed: "거부됨", record.TimedOut: "시간 초과",
			record.ConnectionLost: "연결 끊김", record.WrongReply: "잘못된 응답", record.Unreachable: "전송 실패",
			record.Unanswered: "중단됨",
		},
		Fates: map[record.Outcome]string{
			record.NotRun: "앞에서 실행이 끝나 수행되지 않았습니다.", record.Passed: "통과했습니다.", record.Failed: "에이전트가 거부했습니다.",
			record.TimedOut: "제한 시간 안에 응답이 없었습니다.", record.ConnectionLost: "연결이 끊어졌습니다.",
			record.WrongReply: "다른 내용의 응답이 왔습니다.", record.Unreachable: "연결할 수 없어 보내지 못했습니다.",
			record.Unanswered: "보낸 뒤 응답이 오기 전에 실행이 끝났습니다.",
		},
		Reasons: map[protocol.Reason]string{
			protocol.OutOfOrder:           "단계의 순서가 맞지 않습니다.",
			protocol.TimeoutTooShort:      "단계에 선언된 제한 시간이 에이전트가 허용하는 최솟값보다 짧습니다.",
			protocol.IntervalNotKept:      "클라이언트가 스스로 선언한 대기 간격을 지키지 않았습니다.",
			protocol.RuleBroken:           "에이전트 운영자가 정한 규칙을 어겼습니다.",
			protocol.BadMessage:           "에이전트가 메시지를 해석하지 못했습니다.",
			protocol.BadRequest:           "메시지의 필드가 빠졌거나 잘못되었습니다.",
			protocol.ValidatorUnavailable: "에이전트의 검증기가 제때 판정하지 못했습니다. 클라이언트의 잘못이 아닙니다.",
			protocol.Busy:                 "에이전트가 처리 한도에 도달했습니다. 클라이언트의 잘못이 아닙니다.",
			protocol.ShuttingDown:         "에이전트가 종료되는 중이었습니다. 클라이언트의 잘못이 아닙니다.",
			protocol.Internal:             "에이전트 내부 오류로 처리하지 못했습니다. 클라이언트의 잘못이 아닙니다.",
			protocol.Timeout:              "제한 시간 안에 응답이 오지 않았습니다.",
			protocol.ConnectionLost:       "응답이 오기 전에 연결이 끊어졌습니다.",
			protocol.WrongReply:           "이 단계에 대한 응답이 아닌 것이 왔습니다.",
			protocol.Unreachable:          "에이전트에 연결할 수 없었습니다.",
		},
		UnknownReason: "여기에서 알 수 없는 사유입니다.", NoReason: "에이전트가 사유를 밝히지 않았습니다.",
		Quoted: "메시지 원문:", LateAfter: "%s 뒤에 응답이 왔지만 이미 늦었습니다.", Again: "같은 단계를 앞서 %d번에서 보냈습니다.",
		Duplicates: "중복 응답 %d회.",
		Kept:       "실제 %s", NotKept: "이후 대기 없음",
		RowTitle: "단계 %d: %s, 응답까지 %s, 제한 시간 %s",

		Strays: "어떤 요청에도 해당하지 않는 메시지", StraysCaption: "에이전트가 그 밖에 보낸 메시지입니다. 결과에는 반영되지 않습니다.",
		StrayKind: "종류", StrayAt: "시각", StrayDetail: "상세",
		StrayKinds: map[record.Stray]string{record.StrayDuplicate: "중복 응답", record.StrayUnsolicited: "요청하지 않은 응답",
			record.StrayGarbage: "응답이 아닌 데이터"},

		Where: "소요 시간 분석", WhereSentence: "클라이언트와 에이전트의 기록을 맞추어 본 결과입니다. 클라이언트는 응답 %[1]d개를 모두 합해 %[2]s 동안 기다렸습니다.",
		WhereLacks:   "에이전트 기록에서 이벤트 %d개가 빠져 있습니다.",
		WhereCaption: "실행 시간이 어디에 쓰였는지 나타냅니다.", WherePart: "구분", WhereTime: "시간", WhereShare: "응답 대기 중 비율", WhereMeaning: "설명",
		WhereLink: "네트워크(링크)", WhereQueue: "에이전트 대기열", WhereValidators: "검증기", WhereAgent: "에이전트 처리", WhereFault: "의도적 지연",
		WhereIntervals: "클라이언트(대기 간격)", WhereClient: "클라이언트(자체 처리)",
		MeansLink:       "에이전트까지 왕복하는 데 걸린 시간으로, 네트워크와 양쪽 장비의 송수신 처리를 포함합니다.",
		MeansQueue:      "세션의 차례와 검증기 프로세스를 기다린 시간입니다.",
		MeansValidators: "검증기가 판정한 시간입니다. 여러 그룹에 동시에 물었으면 가장 느린 그룹의 시간입니다.",
		MeansAgent:      "요청을 읽고, 결과를 정하고, 응답을 쓰는 데 걸린 시간입니다.",
		MeansFault:      "에이전트가 설정에 따라 일부러 응답을 늦춘 시간입니다.",
		MeansIntervals:  "절차에 정해진 대로 각 단계 뒤에 기다린 시간입니다.",
		MeansClient:     "단계와 단계 사이의 나머지 시간입니다.",
		BothViews:       "단계별 클라이언트·에이전트 기록 비교", BothCaption: "응답이 유실되거나 늦거나 일부러 변조되면 두 기록이 서로 다를 수 있습니다.",
		ColClient: "클라이언트", ColAgent: "에이전트", AgentSilent: "기록 없음", AgentPassed: "통과",
		AgentRefused: "거부: %s", AgentRetried: "같은 요청 %d회 재수신", AgentFault: "주입된 결함: %s",

		About: "실행 정보", Procedure: "절차", Checksum: "단계 파일의 SHA-256", Client: "클라이언트", Agent: "에이전트",
		AgentUnknown: "버전 알 수 없음", Host: "클라이언트 호스트", Address: "에이전트 주소", Session: "세션", NoSession: "이름 없음",
		Started: "시작", Duration: "소요 시간", Ending: "종료", Format: "기록 형식",
		Endings: map[record.Cause]string{
			record.Finished: "완료: 모든 단계를 차례대로 수행함", record.Interrupted: "중단: 사용자가 실행을 멈춤",
			record.Lost: "연결 불가: 에이전트에 연결하지 못함", "": "기록에 끝이 없음: 클라이언트가 강제 종료되었거나 아직 실행 중",
		},

		Glossary: "용어 설명",
		Terms: []term{
			{"절차", "시험할 단계를 순서대로 적은 목록입니다."},
			{"단계", "클라이언트의 요청 하나와 그에 대한 에이전트의 응답입니다."},
			{"제한 시간", "클라이언트가 응답을 기다리는 시간입니다. 이보다 늦게 온 응답은 인정되지 않습니다."},
			{"대기 간격", "한 단계가 끝난 뒤 다음 단계를 보내기 전까지 클라이언트가 기다리는 시간입니다."},
			{"클라이언트", "절차를 수행하는 프로그램입니다."},
			{"에이전트", "각 단계가 순서와 시간을 지켰는지 판정하는, 보드에서 실행되는 프로그램입니다."},
			{"사유", "단계가 통과하지 못한 까닭을 나타내는 식별자입니다."},
		},
		Footer:       "모든 시간은 클라이언트의 실행 기록에서 가져왔으며, 되돌아가지 않는 하나의 시계로 측정했습니다.",
		Milliseconds: "%s ms", Seconds: "%s초",
		details: koreanDetails(),
	}
}
