package certificate

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// Alerts of RFC 8446, section 6.2, that have sentences of their own.
const (
	alertHandshakeFailure    tls.AlertError = 40
	alertBadCertificate      tls.AlertError = 42
	alertUnsupported         tls.AlertError = 43
	alertCertificateRevoked  tls.AlertError = 44
	alertCertificateExpired  tls.AlertError = 45
	alertCertificateUnknown  tls.AlertError = 46
	alertUnknownCA           tls.AlertError = 48
	alertAccessDenied        tls.AlertError = 49
	alertProtocolVersion     tls.AlertError = 70
	alertCertificateRequired tls.AlertError = 116
	alertNoProtocol          tls.AlertError = 120
)

// RemoteAlert returns the alert that the other side sent, and its text. crypto/tls gives it as a
// net.OpError whose type of error is its own, so it is found by its text.
func RemoteAlert(err error) (alert tls.AlertError, text string, ok bool) {
	for {
		op, found := errors.AsType[*net.OpError](err)
		if !found {
			return 0, "", false
		}
		if op.Op != "remote error" {
			err = op.Err
			continue
		}
		for code := range 256 {
			if alert := tls.AlertError(code); alert.Error() == op.Err.Error() {
				return alert, strings.TrimPrefix(alert.Error(), "tls: "), true
			}
		}
		return 0, plain(op.Err), true
	}
}
