package web

import "github.com/stepagent/stepagent/agent/internal/client/htmlkit"

// korean has the entries of english in the same order.
func korean() *words {
	return &words{
		Words: htmlkit.Korean.Words(),

		Skip: "본문으로 바로 가기", Menu: "화면 목록", Colours: "화면 색상",
		Lost:    "stepctl web이 응답하지 않습니다. 마지막으로 받은 내용을 표시하고 있으며, 계속 다시 연결합니다.",
		Footer:  "시각은 이 컴퓨터의 시간대로 표시합니다. 이 화면은 데이터베이스를 조회만 하고 변경하지 않습니다.",
		Schemes: map[string]string{"": "시스템 설정", "light": "밝게", "dark": "어둡게"},
		Away:    "지금은 데이터베이스를 읽을 수 없습니다.", Retrying: "1초마다 다시 시도합니다.",
		NoPage: "없는 화면입니다.", Missing: "데이터베이스에 없습니다.", Bad: "매개변수 %[1]s의 값으로 %[2]q를 쓸 수 없습니다.",
		BackToRuns: "전체 실행 목록",
		Wants: map[string]string{
			"known": "이 매개변수를 쓰는 화면이 아닙니다.", "once": "한 번만 지정할 수 있습니다.", "lang": "언어는 en과 ko 중 하나입니다.",
			"scheme": "색상은 light와 dark 중 하나입니다.", "label": "라벨은 key=value 형식입니다.",
			"verdict": "pass, fail, undecided, running, interrupted 중 하나입니다.",
			"time":    "시각은 2026-11-30 또는 2026-11-30T14:05 형식입니다.", "order": "시작 시각은 끝 시각보다 앞서야 합니다.",
			"number": "1 이상의 수입니다.", "baseline": "이 절차에는 그런 이름의 기준선이 없습니다.",
			"name": "절차의 이름을 지정합니다.", "id": "실행의 ID를 지정합니다.", "run": "비교할 실행을 지정합니다.", "with": "비교 대상이 되는 실행이나 기준선을 지정합니다.",
		},

		Runs: "실행", Now: "진행 중", InProgress: "진행 중", Interrupted: "중단됨", NothingRuns: "진행 중인 실행이 없습니다.",
		MoreRuns: "외 %d건", NoRuns: "데이터베이스에 실행 기록이 없습니다. 다음 명령으로 저장하십시오: stepctl run --db PLACE",
		NoneSelected: "조건에 맞는 실행이 없습니다.", OneRun: "1건", ManyRuns: "%d건", Newest: "최근 %d건",
		Range: "전체 %[3]d건 중 %[1]d~%[2]d", GridTitle: "절차별 실행 이력", GridCaption: "%s부터 %s까지의 실행입니다. 절차 이름을 누르면 추세를, 표시를 누르면 해당 실행을 볼 수 있습니다.",
		ListTitle: "목록", ListCaption: "최근 실행부터 표시합니다.", Previous: "이전", Next: "다음", Older: "더 오래된 실행",
		Legend: "범례", LegendMany: "실행이 네 건을 넘으면 건수와 비율로 표시",
		Filter: "실행 선택", All: "전체", Verdict: "판정", Board: "보드", Label: "라벨", LabelHint: "key=value",
		Since: "시작", Until: "끝", Show: "조회", Reset: "조건 지우기",
		ColRun: "실행", ColSteps: "통과", ColLabels: "라벨", ColTook: "소요 시간",
		StepOf: "단계 %[2]d개 중 %[1]d개", StepNow: "단계 %d, 전체 %[3]d개 중 %[2]d번째",

		OpenReport: "이 실행의 보고서", LoadRun: "부하 시험", About: "실행 정보", Host: "클라이언트 호스트", Entry: "대기열 항목",
		Attempt: "시도", Worker: "작업자", RecordChecksum: "실행 기록의 SHA-256", CompareWith: "비교 대상",
		Baseline: "기준선", StepsTitle: "단계별 결과", ChartScale: "전송 후 경과 시간, 0~%s",
		RunBefore: "직전 실행(%s)",

		Trend: "추세", ChooseProcedure: "단계별 추세를 보려면 절차를 선택하십시오.",
		TrendIntro: "%s의 단계별 응답 시간입니다. %s부터 %s까지 오래된 순서로 표시합니다.",
		StepTitle:  "%d번, 단계 %s", FromTo: "%s~%s", FlakyOf: "불안정: %[2]d회 중 %[1]d회 미통과",
		PlotDescription: "이 단계를 수행한 실행 %d건 중 %d건이 통과했습니다. 응답 시간 중앙값은 %s, 제한 시간은 %s입니다.",
		Median:          "중앙값", Spread: "중간 50%", BaselineMedian: "기준선", Beyond: "제한 시간이 차트 범위를 벗어납니다.",
		RunningMedian: "이동 중앙값(9건)", TimeoutLine: "제한 시간", BaselineBand: "기준선의 중앙값과 중간 50%",
		DotPassed: "통과", DotFailed: "미통과. 응답이 없으면 위쪽 끝에 표시",

		Queue: "대기열", Waiting: "대기 중", QueueEnded: "종료",
		NothingWaits: "대기 중인 항목이 없습니다.", NothingEnded: "종료된 항목이 없습니다.", Due: "예정 시각", AtOnce: "즉시", Every: "주기", Times: "수행 횟수",
		Priority: "우선순위", State: "상태", NotBegun: "실행이 아직 시작되지 않았습니다.",
		States:  map[string]string{"waiting": "대기", "running": "실행 중", "done": "완료", "cancelled": "취소됨", "failed": "수행 불가"},
		Endless: "제한 없음",

		Procedures: "절차 목록", NoProcedures: "데이터베이스에 절차가 없습니다. 다음 명령으로 가져오십시오: stepctl db import FILE",
		Version: "버전", Versions: "버전 목록", StepCount: "단계 수", Imported: "가져온 시각", Differences: "차이",
		NoDifferences: "두 버전이 같습니다.", DiffCut: "일부 차이만 표시합니다. 전체 차이는 stepctl db diff로 확인할 수 있습니다.",
		From: "이전 버전", To: "이후 버전", Compare: "비교", ShowTrend: "단계별 추세", ShowRuns: "이 절차의 실행",
		NotStored: "저장된 버전이 없습니다. 이 절차의 실행은 파일에서 수행되었습니다.",

		Comparison: "비교", ChooseRuns: "비교할 실행을 지정하십시오. 실행 ID, 라벨, 기준선을 쓸 수 있으며 여러 개는 쉼표로 구분합니다.",
		SelectHint: "실행, key=value, 기준선", AgainstHint: "비우면 유일한 기준선", Before: "이전", After: "이후", Finding: "비교 결과",
		By: "변화 폭 %s에서 %s", Between: "변화 범위 %s에서 %s", Needed: "양쪽에 각각 %d건 필요",
		Confidence: "이 목록의 판단이 모두 옳을 신뢰도는 %[1]s이며, %[2]s 이상의 변화만 판단합니다.", Replies: "응답 %d건", FailedOf: "%[2]d건 중 %[1]d건 미통과",
		NewlyFailing: "새로 실패", AgainstOlder: "최근 절반과 이전 절반의 비교:", AgainstBaseline: "기준선 %s과(와) 비교:",
		ChangedSince: "%s에 수준이 바뀜", FailingSince: "%s부터 실패", PassingSince: "%s부터 통과", Failing: "모든 실행에서 실패",
		ChangeLine: "수준이 바뀐 시점",
		Findings: map[string]string{
			"slower": "느려짐", "faster": "빨라짐", "no difference seen": "차이가 확인되지 않음", "too few runs": "실행 수 부족",
		},
		Bases: map[string]string{
			"runs": "실행마다 단계별 비율의 중앙값을 하나의 값으로 비교했습니다.", "throughput": "부하 시험은 처리량으로 비교했습니다.",
			"steps": "실행 수가 적어 단계마다 하나의 값으로 비교했습니다. 이 실행들에만 해당하는 결과입니다.",
		},
	}
}
