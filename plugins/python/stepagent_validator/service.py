"""The gRPC services of a plugin."""

from __future__ import annotations

import json
import queue
import sys
import threading
import traceback
from concurrent import futures
from typing import TYPE_CHECKING, Any, Callable, Iterator

import grpc

from . import validator_pb2 as pb
from .contract import (
    ALL_INPUTS,
    Input,
    Session,
    Step,
    Validator,
    declared,
)
from .convert import answer, call_parts, mask
from .settings import SettingError, SettingErrors

if TYPE_CHECKING:
    from .plugin import Plugin

MAX_MESSAGE_BYTES = 4 << 20
"""The largest gRPC message in either direction."""

MAX_BATCH = 256
"""The largest number of answers in one message."""

WORKERS = 16
"""The number of steps judged at once, so that slow ones delay no other."""

_SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse, SERVING
_EMPTY = b""  # plugin.Empty


class Instance:
    """One validator with its settings."""

    def __init__(self, name: str, validator: Validator) -> None:
        self.name = name
        self.validator = validator
        self.reads: frozenset[Input] = ALL_INPUTS

    def judge(self, session: Any, step: Any) -> Any:
        """Judge one step."""
        return answer(self.name, self.validator, session, step,
                      self.reads)


class Service:
    """The contract, the health service and the controller."""

    def __init__(self, plugin: Plugin, shutdown: Callable[[], None]) -> None:
        self._plugin = plugin
        self._shutdown = shutdown
        self._configuring = threading.Lock()
        self._instances: list[Instance] | None = None
        self._pool = futures.ThreadPoolExecutor(
            max_workers=WORKERS, thread_name_prefix="judge")

    def register(self, server: grpc.Server) -> None:
        """Add the services to a server."""
        unary = grpc.unary_unary_rpc_method_handler
        server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler(
                "stepagent.validator.v1.ValidatorService", {
                    "Describe": unary(
                        self.describe,
                        pb.DescribeRequest.FromString,
                        pb.DescribeResponse.SerializeToString),
                    "Configure": unary(
                        self.configure,
                        pb.ConfigureRequest.FromString,
                        pb.ConfigureResponse.SerializeToString),
                    "Judge": grpc.stream_stream_rpc_method_handler(
                        self.judge,
                        pb.JudgeRequest.FromString,
                        pb.JudgeResponse.SerializeToString),
                }),
            grpc.method_handlers_generic_handler(
                "grpc.health.v1.Health", {
                    "Check": unary(lambda request, context: _SERVING)}),
            grpc.method_handlers_generic_handler(
                "plugin.GRPCController", {
                    "Shutdown": unary(self._end)}),
        ))

    def _end(self, request: bytes, context: Any) -> bytes:
        self._shutdown()
        return _EMPTY

    def describe(self, request: Any, context: Any) -> Any:
        """Describe the plugin and its validators."""
        return pb.DescribeResponse(
            name=self._plugin.name, version=self._plugin.version,
            validators=[
                pb.ValidatorInfo(name=k.name, version=k.version,
                                 summary=k.summary)
                for k in self._plugin.kinds])

    def configure(self, request: Any, context: Any) -> Any:
        """Make the validators that the agent asks for."""
        response = pb.ConfigureResponse()
        instances = []
        with self._configuring:
            if self._instances is not None:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION,
                              "configured already")
            for wanted in request.instances:
                result = response.results.add()
                instance = self._make(wanted, result.problems)
                if instance is None:
                    continue
                instances.append(instance)
                self._reads(instance, result)
                first = getattr(instance.validator, "expects", None)
                if first is not None:
                    self._first(instance, first, result)
            if not any(result.problems for result in response.results):
                self._instances = instances
        return response

    def _make(self, wanted: Any, problems: Any) -> Instance | None:
        try:
            return self._try_to_make(wanted)
        except SettingErrors as several:
            for error in several.errors:
                problems.add(key=error.key, problem=error.problem)
        except SettingError as error:
            problems.add(key=error.key, problem=error.problem)
        except Exception as error:  # the author's code may raise any
            traceback.print_exc(file=sys.stderr)
            problems.add(problem=f"{type(error).__name__}: {error}")
        return None

    def _try_to_make(self, wanted: Any) -> Instance:
        for kind in self._plugin.kinds:
            if kind.name != wanted.validator:
                continue
            settings = json.loads(wanted.settings_json or b"{}")
            validator = kind.make(settings)
            if not callable(getattr(validator, "validate", None)):
                raise TypeError(f"make of {kind.name} returned "
                                f"{validator!r:.80}, which has no validate")
            return Instance(wanted.name, validator)
        raise SettingError("", f"plugin {self._plugin.name} has no "
                               f"validator {wanted.validator!r}")

    def _reads(self, instance: Instance, result: Any) -> None:
        """Store and report the declared inputs of a validator."""
        try:
            reads = declared(instance.validator)
        except Exception as error:  # the author's code may raise any
            result.problems.add(problem=f"reads: {error}")
            return
        if reads is None:
            return
        instance.reads = reads
        result.reads.SetInParent()  # also with nothing in it
        result.reads.inputs.extend(sorted(reads))

    def _first(self, instance: Instance, expects: Callable[..., Any],
               result: Any) -> None:
        session, _ = mask(instance.reads, Session("", 0, 1), Step(0))
        try:
            first = expects(session)
        except Exception as error:  # the author's code may raise any
            result.problems.add(problem=f"expects: {error}")
            return
        if first is not None:
            result.first = first

    def judge(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        """Judge steps until the agent ends the stream.

        Each step is a task of its own, so that a slow one delays no other.
        Answers that are ready at the same time share a message.
        """
        instances = self._instances
        if instances is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION,
                          "not configured yet")
        out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._receive, args=(requests, out),
                         name="receive", daemon=True).start()
        open_calls, more = 0, True
        while more or open_calls:
            response = pb.JudgeResponse()
            item = out.get()
            while True:
                if item is None:
                    more = False
                elif isinstance(item, int):
                    open_calls += item
                else:
                    response.answers.append(item)
                    open_calls -= 1
                if len(response.answers) >= MAX_BATCH:
                    break
                try:
                    item = out.get_nowait()
                except queue.Empty:
                    break
            if response.answers:
                yield response

    def _receive(self, requests: Iterator[Any],
                 out: queue.SimpleQueue[Any]) -> None:
        """Submit the received steps to the pool; put None after the last."""
        try:
            for request in requests:
                out.put(len(request.calls))
                for call in request.calls:
                    self._pool.submit(self._answer, call, out)
        except grpc.RpcError:
            pass  # the agent has ended the stream
        finally:
            out.put(None)

    def _answer(self, call: Any, out: queue.SimpleQueue[Any]) -> None:
        """Judge one step with every validator."""
        verdicts = pb.StepVerdicts(call=call.call)
        for number, instance in enumerate(self._instances or ()):
            state = call.states[number] if number < len(call.states) else b""
            session, step = call_parts(call, state)
            verdicts.verdicts.append(instance.judge(session, step))
        out.put(verdicts)
