package weblistener

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

// Header must be "1" in requests that change something: a page of another site cannot send it.
const Header = "X-Stepagent"

// policy is what the page may load and do: nothing but its own files and this API.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// logInterval is how often a refused request is logged.
const logInterval = 10 * time.Second

// A guard decides which requests reach the handler.
type guard struct {
	next     http.Handler
	options  Options
	origins  http.CrossOriginProtection
	log      *slog.Logger
	refusals *logging.Limiter
}

func newGuard(next http.Handler, o Options, log *slog.Logger) *guard {
	o.Hosts = slices.Clone(o.Hosts)
	for i, host := range o.Hosts {
		o.Hosts[i] = plainName(host)
	}
	return &guard{next: next, options: o, log: log, refusals: logging.NewLimiter(logInterval)}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store") // which a page's files may replace
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	to := http.NewResponseController(w)
	if r.ContentLength != 0 {
		_ = to.SetReadDeadline(time.Now().Add(g.options.RequestTime)) // a TCP connection has deadlines
	}
	w = &timedWriter{ResponseWriter: w, begin: func() { _ = to.SetWriteDeadline(time.Now().Add(g.options.ReplyTime)) }}
	status, why := g.refusal(r)
	if status == 0 {
		g.next.ServeHTTP(w, r)
		return
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
		if isSafe(r) {
			h.Set("WWW-Authenticate", `Basic realm="the token as password, any user"`) // so that browsers ask
		}
	}
	g.refusals.Log(context.Background(), g.log, slog.LevelWarn, "HTTP request refused", slog.String("client", r.RemoteAddr),
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("host", r.Host), slog.String("reason", why))
	problem.Write(w, status, why)
}

// refusal returns why a request is refused; 0 if it is not.
func (g *guard) refusal(r *http.Request) (status int, why string) {
	if !g.isOwnHost(r) {
		return http.StatusMisdirectedRequest, "the host " + r.Host + " is not one of this server; " + g.options.HostAdvice
	}
	safe := isSafe(r)
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case safe && (site == "" || site == "same-origin" || site == "none" || r.Header.Get("Sec-Fetch-Mode") == "navigate"):
		if !g.mayRead(r) {
			return http.StatusUnauthorized, "from another machine, reading needs the token or a client certificate; " + whereToken
		}
		return 0, ""
	case safe, g.origins.Check(r) != nil:
		return http.StatusForbidden, "the request comes from a page of another site"
	case g.options.ReadOnly != "":
		return http.StatusForbidden, g.options.ReadOnly
	case r.Header.Get(Header) != "1":
		return http.StatusForbidden, "the header " + Header + ": 1 is missing"
	case !g.hasToken(r):
		return http.StatusUnauthorized, "the header Authorization: Bearer TOKEN is missing or has a wrong token; " + whereToken
	}
	return 0, ""
}

const whereToken = "the token is in the file that http.token_file names"

func isSafe(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// mayRead reports whether a request may read.
func (g *guard) mayRead(r *http.Request) bool {
	if !g.options.Private || r.TLS != nil && len(r.TLS.VerifiedChains) > 0 || g.hasToken(r) {
		return true
	}
	_, password, ok := r.BasicAuth()
	return ok && g.isToken(password)
}

// hasToken reports whether a request has the token as a bearer.
func (g *guard) hasToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "bearer") && g.isToken(token)
}

// isToken compares in constant time.
func (g *guard) isToken(token string) bool {
	same := subtle.ConstantTimeCompare([]byte(token), []byte(g.options.Token)) == 1
	return g.options.Token != "" && same
}

// isOwnHost reports whether a Host is a name of this listener. Any other may be that of a site which a
// name server has pointed at this machine.
func (g *guard) isOwnHost(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = plainName(host)
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" && (addr.IsLoopback() || addr == localAddr(r)) {
		return true
	}
	return host == "localhost" || slices.Contains(g.options.Hosts, host)
}

// localAddr returns the address of this machine at which a request arrived.
func localAddr(r *http.Request) netip.Addr {
	tcp, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// plainName returns a host name or address in one form of several.
func plainName(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
}

// A timedWriter calls begin before the first byte of a reply, which handlers may delay.
type timedWriter struct {
	http.ResponseWriter
	begin func()
	begun bool
}

func (w *timedWriter) WriteHeader(status int) {
	w.start()
	w.ResponseWriter.WriteHeader(status)
}

func (w *timedWriter) Write(p []byte) (int, error) {
	w.start()
	return w.ResponseWriter.Write(p)
}

func (w *timedWriter) start() {
	if !w.begun {
		w.begun = true
		w.begin()
	}
}

// Unwrap is for http.ResponseController.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
