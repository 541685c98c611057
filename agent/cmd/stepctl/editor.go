package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// editors are the programs that edit text where neither $VISUAL nor $EDITOR names one, in the order in
// which they are tried. On Debian, editor is the one that the administrator has chosen.
func editors() []string {
	if runtime.GOOS == "windows" {
		return []string{"notepad"}
	}
	return []string{"editor", "vi", "nano"}
}

// editorCommand returns the command that edits the file at path: that of $VISUAL, else of $EDITOR, which
// may have arguments, as in git; else the first of editors that is installed.
func editorCommand(path string) (*exec.Cmd, error) {
	if chosen := strings.TrimSpace(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"))); chosen != "" {
		if runtime.GOOS == "windows" {
			words := strings.Fields(chosen)
			return exec.Command(words[0], append(words[1:], path)...), nil
		}
		return exec.Command("sh", "-c", chosen+` "$1"`, "editor", path), nil
	}
	for _, name := range editors() {
		if program, err := exec.LookPath(name); err == nil {
			return exec.Command(program, path), nil
		}
	}
	return nil, fmt.Errorf("found no editor, %s; name one by the variable EDITOR", strings.Join(editors(), " or "))
}

// editFile has the user edit the file at path, and returns when the editor has ended. The keys that
// interrupt a program are the editor's meanwhile.
func editFile(path string) error {
	cmd, err := editorCommand(path)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGQUIT)
	defer signal.Stop(signals)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the editor failed: %w", err)
	}
	return nil
}
