package config

import (
	"regexp"
	"sync"
)

// Kubernetes gives a container variables for each service of its namespace, and Docker for each
// link: STEPCTL_SERVICE_HOST and STEPCTL_PORT=tcp://10.0.0.1:7 for a service called stepctl,
// STEPCTL_WEB_SERVICE_HOST for one called stepctl-web, STEPCTL_NAME=/a/stepctl for a link. None
// of them is a setting.
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
// https://docs.docker.com/engine/network/links/#environment-variables
var injectedVariables = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Z0-9_]+_(` +
		`SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|` +
		`PORT_[0-9]+_(TCP|UDP|SCTP)(_START|_END)?(_(PROTO|PORT|ADDR))?|` +
		`ENV_[A-Za-z0-9_]+)=|` +
		`_PORT=(tcp|udp|sctp)://|_NAME=/`)
})

// injected reports whether a variable is one that Kubernetes or Docker sets for a service whose name
// begins with the program's.
func injected(name, value string) bool { return injectedVariables().MatchString(name + "=" + value) }
