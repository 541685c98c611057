//go:build !race

package daemon

const reservesTerabytes = false
