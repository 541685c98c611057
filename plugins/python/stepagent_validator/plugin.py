"""A plugin process: handshake, signals, serving and its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent import futures
from typing import Any, Callable, Mapping, NamedTuple, NoReturn, Sequence

import grpc

from .contract import Validator
from .service import MAX_MESSAGE_BYTES, Service

PROTOCOL_VERSION = "1"
"""The version of the contract: the v1 in stepagent.validator.v1."""

COOKIE = ("STEPAGENT_PLUGIN", "8e1c0a5d-step-by-step")
"""The variable that an agent sets for its plugins. It is no secret."""

_STACK_BYTES = 1 << 20  # of a thread; the agent bounds a plugin's memory
_DRAIN = 0.05  # seconds, in which the reply to Shutdown is sent


class Kind(NamedTuple):
    """One kind of validator that a plugin can make."""

    name: str
    """The name in configs: a-z, 0-9 and _."""
    version: str
    summary: str
    """One line that describes the rule."""
    make: Callable[[Mapping[str, Any]], Validator]
    """Makes a validator from its settings; raises SettingError(s)."""


class Plugin(NamedTuple):
    """A plugin program and its kinds of validators."""

    name: str
    version: str
    kinds: Sequence[Kind]


def serve(plugin: Plugin) -> NoReturn:
    """Run the plugin until the agent ends it, then exit the process.

    Call it last in the program. From here on, output to stdout goes to
    stderr, which the agent copies to its log.
    """
    handshake = _take_stdout()
    directory = _started_by_agent(plugin.name)
    _leave_signals_to_agent()
    threading.stack_size(_STACK_BYTES)

    shutdown = threading.Event()
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8, thread_name_prefix="rpc"),
        options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                 ("grpc.max_send_message_length", MAX_MESSAGE_BYTES)])
    Service(plugin, shutdown.set).register(server)
    path = os.path.join(directory, f"python-{os.getpid()}.sock")
    if not server.add_insecure_port(f"unix:{path}"):
        _end(f"cannot listen on {path}")
    server.start()
    line = f"1|{PROTOCOL_VERSION}|unix|{path}|grpc\n".encode()
    while line:
        line = line[os.write(handshake, line):]

    shutdown.wait()
    server.stop(_DRAIN).wait(2 * _DRAIN)
    # sys.exit would wait for a validator that hangs in a thread.
    sys.stderr.flush()
    os._exit(0)


def _take_stdout() -> int:
    """Return a copy of stdout, and redirect stdout to stderr.

    The agent would take any output before the handshake for it.
    """
    sys.stdout.flush()
    handshake = os.dup(1)
    os.set_inheritable(handshake, False)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return handshake


def _started_by_agent(name: str) -> str:
    """Return the folder for the socket; exit if no agent started us."""
    key, value = COOKIE
    if os.environ.get(key) != value:
        _end(f"{name} is a plugin of stepagent and is started by an agent; "
             "to try it, run: stepagent validators check "
             f"{os.path.abspath(sys.argv[0])}")
    versions = os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "")
    if PROTOCOL_VERSION not in versions.split(","):
        _end(f"the agent speaks versions {versions!r} of the plugin "
             f"contract, this plugin speaks {PROTOCOL_VERSION}")
    directory = os.environ.get("PLUGIN_UNIX_SOCKET_DIR", "")
    if not os.path.isdir(directory):
        _end(f"PLUGIN_UNIX_SOCKET_DIR is no folder: {directory!r}")
    return directory


def _end(why: str) -> NoReturn:
    print(why, file=sys.stderr, flush=True)
    os._exit(1)


def _leave_signals_to_agent() -> None:
    """Ignore SIGINT and SIGTERM, which may go to the whole process group.

    The agent may still have steps to judge. An orphan ends at SIGTERM.
    """
    agent = os.getppid()

    def end_orphan(*_: object) -> None:
        if os.getppid() != agent:
            os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end_orphan)
