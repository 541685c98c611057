// Package jsonl has what the files of JSON lines have in common: the agent's audit log, which
// package auditlog describes, and the client's record of a run, which package record describes.
package jsonl
