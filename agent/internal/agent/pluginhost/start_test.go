package pluginhost

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whatever is wrong with a plugin's program, one line says so and what to do.
func TestP06NoPluginIsDiagnosed(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, func(o *Options) { o.StartTimeout = patience })
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		writeProgram(t, path, []byte(content))
		return path
	}
	shakes := func(name, handshake string) string { // and stays
		return write(name, "#!/bin/sh\necho '"+handshake+"'\nexec /bin/sleep 60\n")
	}
	for name, test := range map[string]struct {
		path string // empty for the test program
		kind string
		want string
	}{
		"another architecture": {path: write("arch", otherMachine(t)), want: "is built for s390x, this machine is"},
		"no program":           {path: write("text", "hello"), want: "is neither a program for"},
		"no loader":            {path: write("loader", withLoader(t, "/no/such/ld.so")), want: "needs /no/such/ld.so, which is not installed; build it"},
		"interpreter's mode":   {path: write("mode", "#!"+unexecutable(t)+"\n"), want: "which cannot be executed: "},
		"no interpreter":       {path: write("script", "#!/no/such/python3 -u\n"), want: "needs /no/such/python3, which is not installed"},
		"lines of Windows":     {path: write("crlf", "#!/bin/sh\r\nexit\r\n"), want: "has lines that end as on Windows"},
		"empty":                {path: write("empty", ""), want: "is neither a program for"},
		"a tool":               {path: "/bin/echo", want: `printed "plugin" where the handshake must stand`},
		"prints first":         {kind: "prints-first", want: `printed "hello there" where the handshake must stand`},
		"other version":        {path: shakes("version", "1|2|unix|/nowhere|grpc"), want: "speaks version 2 of the plugin contract, this agent speaks version 1"},
		"net/rpc":              {path: shakes("netrpc", "1|1|unix|/nowhere|netrpc"), want: `does not speak gRPC, but "netrpc"`},
		"tcp":                  {path: shakes("tcp", "1|1|tcp|127.0.0.1:1|grpc"), want: "listens on tcp 127.0.0.1:1; it must listen on a unix socket"},
		"certificate":          {path: shakes("certificate", "1|1|unix|/nowhere|grpc|"+certificate()), want: "wants TLS, as its handshake has a certificate"},
		"another's socket":     {path: shakes("socket", "1|1|unix|/dev/log|grpc"), want: "it listens on /dev/log; its socket must be in the directory that"},
		"no address":           {path: shakes("address", "1|1|unix||grpc"), want: "its socket must be in the directory that"},
		"other cookie":         {kind: "other-cookie", want: "ended before it was ready (exit status 1); it said: "},
		"exits":                {path: write("exits", "#!/bin/sh\necho no licence found >&2\nexit 7\n"), want: "ended before it was ready (exit status 7); it said: no licence found"},
		"panics":               {kind: "panics", want: "it said: panic: no licence found"},
		"no validators":        {kind: "no-validators", want: "Describe: the plugin has no validators"},
		"no service":           {kind: "no-service", want: "it does not serve Describe of stepagent.validator.v1.ValidatorService"},
		"too few results":      {kind: "too-few-results", want: "answered Configure with 0 results for 1 validators"},
		"malformed verdict":    {kind: "fails-the-self-test", want: "step 1, the self-test of validator a: malformed verdict: outcome: 7 is neither"},
		"exits in configure":   {kind: "exits-in-configure", want: "ended before it was ready (exit status 4)"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := Spec{Name: "a", Validator: "v", Path: test.path, Args: []string{"plugin"}}
			if test.path == "" {
				spec.Path, spec.Args = self(t), []string{"plugin", test.kind}
			}
			_, err := h.Start(t.Context(), []Spec{spec})
			all := specErrors(t, err)
			if len(all) != 1 || all[0].Index != 0 || all[0].Key != "path" {
				t.Fatalf("got %+v", all)
			}
			real, err := filepath.EvalSymlinks(spec.Path)
			if err != nil {
				t.Fatal(err)
			}
			if got := all[0].Problem; !strings.Contains(got, test.want) || !strings.HasPrefix(got, real) ||
				strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// otherMachine returns a program for another machine. Its byte order is not that machine's
// either, so that no emulator takes it.
func otherMachine(t *testing.T) string {
	t.Helper()
	b := []byte(withLoader(t, "/lib/ld.so"))
	binary.LittleEndian.PutUint16(b[18:], 22) // e_machine = EM_S390, see elf(5)
	return string(b)
}

// withLoader returns a program for this machine that names a loader, and has nothing else.
func withLoader(t *testing.T, loader string) string {
	t.Helper()
	program, err := os.Open(self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	const header, entry = 64, 56 // bytes of an ELF64 header and of a program header, see elf(5)
	b := make([]byte, header+entry)
	if _, err := io.ReadFull(program, b[:header]); err != nil {
		t.Fatal(err)
	}
	put := func(at int, n uint64, bytes int) {
		for i := range bytes {
			b[at+i] = byte(n >> (8 * i))
		}
	}
	put(32, header, 8) // e_phoff
	put(40, 0, 8)      // e_shoff
	put(56, 1, 2)      // e_phnum
	put(60, 0, 4)      // e_shnum, e_shstrndx
	put(header, 3, 4)  // p_type = PT_INTERP
	put(header+8, header+entry, 8)
	put(header+32, uint64(len(loader)+1), 8)
	return string(b) + loader + "\x00"
}

// unexecutable returns the path of an interpreter that may not be executed.
func unexecutable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python3")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A package manager puts a plugin behind links. It is executed and shown as the file that they lead
// to, and stays that one until the next reload, which sees where they lead then.
func TestP06LinkedPlugin(t *testing.T) {
	h, _ := newTestHost(t, atOnce)
	dir := t.TempDir()
	link, alternative := filepath.Join(dir, "plugin"), filepath.Join(dir, "alternative")
	lead := func(to string) {
		t.Helper()
		if err := os.Symlink(to, link+"x"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+"x", link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(scriptFile(t, "one"), alternative); err != nil {
		t.Fatal(err)
	}
	lead(alternative)
	one, err := filepath.EvalSymlinks(link)
	if err != nil {
		t.Fatal(err)
	}
	two := scriptFile(t, "two")
	spec := Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`), Path: link}
	set := startSet(t, h, spec)
	if st := set.Status()[0]; st.Path != one || set.Checksums()[0] != sumOf(t, one) {
		t.Errorf("status = %+v, want %s", st, one)
	}
	lead(two)
	within(t, patience, set.Groups()[0], 3) // another process
	passes(t, set.Groups()[0], 1)
	if st := set.Status()[0]; st.Path != one || set.Checksums()[0] != sumOf(t, one) || st.Restarts == 0 {
		t.Errorf("status = %+v, want %s still", st, one)
	}
	next := startSet(t, h, spec)
	if st := next.Status()[0]; st.Path != two || next.Checksums()[0] != sumOf(t, two) {
		t.Errorf("status = %+v, want %s", st, two)
	}

	// With a checksum it is the bytes that count.
	spec.Checksum = sumOf(t, one)
	_, err = h.Start(t.Context(), []Spec{spec})
	if all := specErrors(t, err); len(all) != 1 || all[0].Key != "checksum" || !strings.Contains(all[0].Problem, two) {
		t.Errorf("got %+v", all)
	}

	// What was removed by an upgrade is missed by name, and what to do is said.
	if err := os.Remove(one); err != nil {
		t.Fatal(err)
	}
	within(t, patience, set.Groups()[0], 3)
	eventually(t, "the loss is told", func() bool {
		return strings.Contains(set.Status()[0].LastError, "there is no file "+one+" any more, to which "+link+" led")
	})
}

// A plugin may do anything with its own file while it starts: the process that runs is used.
func TestP06TheFileIsAnotherOneAfterTheStart(t *testing.T) {
	h, _ := newTestHost(t, nil)
	path := filepath.Join(t.TempDir(), "plugin")
	script := fmt.Sprintf("#!/bin/sh\nrm %[1]s\nmkfifo %[1]s\nexec %s plugin good\n", path, self(t))
	writeProgram(t, path, []byte(script))
	want := sumOf(t, path)
	set := startSet(t, h, Spec{Name: "a", Validator: "echo", Path: path})
	passes(t, set.Groups()[0], 1)
	if got := set.Checksums()[0]; got != want {
		t.Errorf("the checksum is %s, want that of the file that was executed, %s", got, want)
	}
}

// An agent that may open no further file says so, and what to do.
func TestP06NoFileIsLeftToOpen(t *testing.T) {
	h, _ := newTestHost(t, nil)
	var had unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: had.Max}, nil); err != nil {
		t.Fatal(err)
	}
	_, startErr := h.Start(t.Context(), []Spec{{Name: "a", Validator: "echo"}})
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &had, nil); err != nil {
		t.Fatal(err)
	}
	if startErr == nil || !strings.Contains(startErr.Error(), "as many files and connections open as it may; raise its limit") {
		t.Errorf("got %v", startErr)
	}
}

func TestP06NeverReady(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, func(o *Options) { o.StartTimeout = 300 * time.Millisecond })
	for _, kind := range []string{"silent", "hangs-in-configure"} {
		_, err := h.Start(t.Context(), []Spec{{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", kind}}})
		if all := specErrors(t, err); len(all) != 1 || !strings.Contains(all[0].Problem,
			"was not ready in time: more than 300ms have passed") {
			t.Errorf("%s: got %+v", kind, all)
		}
		if left := processesOf(h); len(left) > 0 {
			t.Errorf("%s: still there: %v", kind, left)
		}
	}
}
