// A module of its own, so that the captures stay out of what everybody downloads who asks for
// a command or a package of stepagent. Tests read them in a clone of the repository.
module github.com/stepagent/stepagent/pcap

go 1.26.0
