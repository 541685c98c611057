package html

import "github.com/stepagent/stepagent/agent/internal/client/report"

// boardWords are the entries of the catalogue for the page of several boards.
type boardWords struct {
	// The verdict in one sentence. Pass, Unreached: boards. Fail, Open: those that did not pass or not
	// finish, boards.
	Pass, Fail, Open, Unreached string
	// Board and Boards are a number of boards, in the singular and the plural: count.
	Board, Boards string
	// Subtitle: procedure, number of boards.
	Subtitle, Skip string

	ProblemsIntro, ProblemBoards string
	// OtherProblems: count.
	OtherProblems string

	Heading, Caption, CaptionLinks string
	// Binned: steps of a mark.
	Binned           string
	Results          map[report.BoardResult]string
	ColBoard, ColWhy string
	// StripTitle: steps, passed, not passed. CellTitle: step id, result.
	StripTitle, CellTitle string
	// How the run against one board went, beside its result. RowPass: steps. RowFail: not passed, steps.
	RowPass, RowFail, NotBegun string

	About  string
	Term   term
	Footer string
}

// englishBoards has the same entries in the same order as koreanBoards.
func englishBoards() boardWords {
	return boardWords{
		Pass:      "The test passed on all %d boards.",
		Fail:      "The test failed: %d of %d boards did not pass.",
		Open:      "There is no verdict: %d of %d boards did not finish.",
		Unreached: "The test could not start: none of the %d boards could be reached, and nothing was sent.",
		Board:     "%d board", Boards: "%d boards",
		Subtitle: "%s on %s", Skip: "Skip to the boards",

		ProblemsIntro: "In the order of the boards. Each name links to the row of the board below.", ProblemBoards: "Boards:",
		OtherProblems: "Further problems, which the rows of the boards show: %d.",

		Heading: "Boards", Caption: "In the order in which the boards were given. The marks are the steps, in the order of the procedure.",
		CaptionLinks: "Each name links to the report of the board.",
		Binned:       "A mark stands for up to %d steps and shows the worst of them.",
		Results: map[report.BoardResult]string{
			report.BoardPassed: "passed", report.BoardFailed: "failed", report.BoardUnreached: "not reached",
			report.BoardUnfinished: "not finished", report.BoardNotRun: "not run",
		},
		ColBoard: "Board", ColWhy: "What happened",
		StripTitle: "%d steps: %d passed, %d did not", CellTitle: "Step %d: %s",
		RowPass: "All %d steps passed.", RowFail: "%d of %d steps did not pass.", NotBegun: "The run was not begun.",

		About:  "About these runs",
		Term:   term{"Board", "A machine with an agent. The procedure was performed against each board."},
		Footer: "All times come from the client's records of the runs and were measured on a monotonic clock.",
	}
}

// koreanBoards has the entries of englishBoards in the same order. The verdict on a board is 합격 or 불합격.
func koreanBoards() boardWords {
	return boardWords{
		Pass:      "시험 결과는 합격입니다. 보드 %d대가 모두 합격했습니다.",
		Fail:      "시험 결과는 불합격입니다. 전체 보드 %[2]d대 중 %[1]d대가 합격하지 못했습니다.",
		Open:      "시험이 완료되지 않아 판정을 보류합니다. 전체 보드 %[2]d대 중 %[1]d대가 완료되지 않았습니다.",
		Unreached: "시험을 시작하지 못했습니다. 보드 %d대 중 한 대에도 연결하지 못해 아무것도 전송하지 않았습니다.",
		Board:     "보드 %d대", Boards: "보드 %d대",
		Subtitle: "절차 %s, %s", Skip: "보드별 결과로 바로 가기",

		ProblemsIntro: "보드 순서대로 정리했습니다. 이름을 누르면 아래의 해당 보드로 이동합니다.", ProblemBoards: "해당 보드:",
		OtherProblems: "이 밖의 문제 %d건은 아래의 보드별 결과에 표시했습니다.",

		Heading: "보드별 결과", Caption: "보드를 지정한 순서대로 표시합니다. 막대는 절차에 정해진 순서대로 각 단계의 결과를 나타냅니다.",
		CaptionLinks: "보드 이름을 누르면 해당 보드의 보고서로 이동합니다.",
		Binned:       "막대 하나는 최대 %d개 단계를 나타내며, 그중 가장 나쁜 결과를 표시합니다.",
		Results: map[report.BoardResult]string{
			report.BoardPassed: "합격", report.BoardFailed: "불합격", report.BoardUnreached: "연결 실패",
			report.BoardUnfinished: "미완료", report.BoardNotRun: "미실행",
		},
		ColBoard: "보드", ColWhy: "설명",
		StripTitle: "전체 %d개 단계: 통과 %d개, 미통과 %d개", CellTitle: "단계 %d: %s",
		RowPass: "전체 %d개 단계가 통과했습니다.", RowFail: "전체 %[2]d개 단계 중 %[1]d개가 통과하지 못했습니다.", NotBegun: "실행을 시작하지 않았습니다.",

		About:  "실행 정보",
		Term:   term{"보드", "에이전트가 실행되는 장치입니다. 같은 절차를 보드마다 수행했습니다."},
		Footer: "모든 시간은 클라이언트의 실행 기록에서 가져온 값이며, 단조 시계로 측정했습니다.",
	}
}
