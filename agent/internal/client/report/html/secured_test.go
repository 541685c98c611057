package html

import (
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// The page says how the connections were secured, and that none could be.
func TestSecuredPage(t *testing.T) {
	run := everything(t)
	run.Start.Address, run.Cause = "bench-7:8443", record.Refused
	run.TLS = []record.TLS{{Version: "1.3", ClientSubject: "CN=<b>", KeyLog: "keys.log",
		Server: record.Certificate{Subject: "CN=bench-7", Issuer: "CN=Lab CA", Serial: "3A:F0", NotAfter: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)}}}
	for language, want := range map[Language][]string{
		English: {"no secure connection to the agent at bench-7:8443", "Security", "TLS 1.3; certificate of the agent: CN=bench-7 (issued by CN=Lab CA, serial 3A:F0, valid until 2027-01-02); " +
			"of the client: CN=&lt;b&gt;; keys of the connections: keys.log<"},
		Korean: {"에이전트(bench-7:8443)와 보안 연결을 맺지 못해", "연결 보안", "TLS 1.3, 에이전트 인증서 CN=bench-7 (발급자 CN=Lab CA, 일련번호 3A:F0, 만료일 2027-01-02), " +
			"클라이언트 인증서 CN=&lt;b&gt;, 연결 키 파일 keys.log<"},
	} {
		page := render(t, run, language)
		for _, part := range want {
			if !strings.Contains(page, part) {
				t.Errorf("the page in %s lacks %q", language, part)
			}
		}
	}
	run.TLS = nil
	if strings.Contains(render(t, run, English), ">Security<") {
		t.Error("a run without TLS has a line for it")
	}
}
