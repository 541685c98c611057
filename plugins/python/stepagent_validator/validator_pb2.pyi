from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
FAULT_KIND_DELAY: FaultKind
FAULT_KIND_DUPLICATE: FaultKind
FAULT_KIND_LATE: FaultKind
FAULT_KIND_RESET: FaultKind
FAULT_KIND_SPLIT: FaultKind
FAULT_KIND_UNSPECIFIED: FaultKind
FAULT_KIND_WITHHOLD: FaultKind
FAULT_KIND_WRONG_CODE: FaultKind
FAULT_KIND_WRONG_ID: FaultKind
INPUT_AT: Input
INPUT_DATA: Input
INPUT_GAP: Input
INPUT_INTERVAL: Input
INPUT_POSITION: Input
INPUT_STEPS: Input
INPUT_STEP_ID: Input
INPUT_TIMEOUT: Input
INPUT_UNSPECIFIED: Input
OUTCOME_FAIL: Outcome
OUTCOME_PASS: Outcome
OUTCOME_UNSPECIFIED: Outcome

class ConfigureRequest(_message.Message):
    __slots__ = ["instances"]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    def __init__(self, instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ...) -> None: ...

class ConfigureResponse(_message.Message):
    __slots__ = ["results"]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[InstanceResult]
    def __init__(self, results: _Optional[_Iterable[_Union[InstanceResult, _Mapping]]] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ["name", "validators", "version"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorInfo]
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., validators: _Optional[_Iterable[_Union[ValidatorInfo, _Mapping]]] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ["code", "delay_ns", "kind", "step_id"]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DELAY_NS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    code: int
    delay_ns: int
    kind: FaultKind
    step_id: int
    def __init__(self, kind: _Optional[_Union[FaultKind, str]] = ..., delay_ns: _Optional[int] = ..., step_id: _Optional[int] = ..., code: _Optional[int] = ...) -> None: ...

class Inputs(_message.Message):
    __slots__ = ["inputs"]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedScalarFieldContainer[Input]
    def __init__(self, inputs: _Optional[_Iterable[_Union[Input, str]]] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ["name", "settings_json", "validator"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    settings_json: bytes
    validator: str
    def __init__(self, name: _Optional[str] = ..., validator: _Optional[str] = ..., settings_json: _Optional[bytes] = ...) -> None: ...

class InstanceResult(_message.Message):
    __slots__ = ["first", "problems", "reads"]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    first: int
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    reads: Inputs
    def __init__(self, problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., first: _Optional[int] = ..., reads: _Optional[_Union[Inputs, _Mapping]] = ...) -> None: ...

class JudgeRequest(_message.Message):
    __slots__ = ["calls"]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[StepCall]
    def __init__(self, calls: _Optional[_Iterable[_Union[StepCall, _Mapping]]] = ...) -> None: ...

class JudgeResponse(_message.Message):
    __slots__ = ["answers"]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[StepVerdicts]
    def __init__(self, answers: _Optional[_Iterable[_Union[StepVerdicts, _Mapping]]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ["key", "problem"]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    key: str
    problem: str
    def __init__(self, key: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ["id", "position", "steps"]
    ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    id: str
    position: int
    steps: int
    def __init__(self, id: _Optional[str] = ..., position: _Optional[int] = ..., steps: _Optional[int] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ["at_ns", "data", "gap_ns", "id", "interval_ns", "timeout_ns"]
    AT_NS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    GAP_NS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_NS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    at_ns: int
    data: bytes
    gap_ns: int
    id: int
    interval_ns: int
    timeout_ns: int
    def __init__(self, id: _Optional[int] = ..., timeout_ns: _Optional[int] = ..., interval_ns: _Optional[int] = ..., at_ns: _Optional[int] = ..., gap_ns: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class StepCall(_message.Message):
    __slots__ = ["budget_ns", "call", "session", "states", "step"]
    BUDGET_NS_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    budget_ns: int
    call: int
    session: Session
    states: _containers.RepeatedScalarFieldContainer[bytes]
    step: Step
    def __init__(self, call: _Optional[int] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., states: _Optional[_Iterable[bytes]] = ..., step: _Optional[_Union[Step, _Mapping]] = ..., budget_ns: _Optional[int] = ...) -> None: ...

class StepVerdicts(_message.Message):
    __slots__ = ["call", "verdicts"]
    CALL_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    call: int
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    def __init__(self, call: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ...) -> None: ...

class ValidatorInfo(_message.Message):
    __slots__ = ["name", "summary", "version"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    summary: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., summary: _Optional[str] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ["detail", "error", "expects", "fault", "outcome", "reason", "state"]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXPECTS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    detail: str
    error: str
    expects: int
    fault: Fault
    outcome: Outcome
    reason: str
    state: bytes
    def __init__(self, outcome: _Optional[_Union[Outcome, str]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., state: _Optional[bytes] = ..., fault: _Optional[_Union[Fault, _Mapping]] = ..., error: _Optional[str] = ..., expects: _Optional[int] = ...) -> None: ...

class Input(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class FaultKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
