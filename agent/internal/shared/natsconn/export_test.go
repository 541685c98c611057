package natsconn

import "time"

// PingEach returns the options with another time between pings.
func PingEach(interval time.Duration, o Options) Options {
	o.ping = interval
	return o
}
