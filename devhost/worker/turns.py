"""The turns of an orchestrator in the worker: a replay, the first turn of an extended session, and its next ones."""

import logging
from collections.abc import Callable
from typing import Any

from devhost.history.failures import stack_of, text_of
from devhost.worker.answers import Answer
from devhost.worker.app_functions import Function
from devhost.worker.dead_ends import DeadEnd
from devhost.worker.extended_sessions import ExtendedSession, ExtendedSessions, State, read_events, supported

log = logging.getLogger("devhost.worker")

GONE: Answer = ({"ok": True, "gone": True}, b"")
OUT_OF_PROC_LABEL = "\n\n$OutOfProcData$:"

Turn = Callable[[ExtendedSessions, Function, dict[str, Any], bytes], Answer]


def replay(_sessions: ExtendedSessions, function: Function, header: dict[str, Any], context: bytes) -> Answer:
    """Run the SDK's replay of an orchestrator over a whole history, and keep nothing."""
    if not supported(function.code):
        return _state(lambda: str(function.code(context.decode())))
    return _state(ExtendedSession(function.code, context.decode(), header["turn"]).start()[1])


def start_session(sessions: ExtendedSessions, function: Function, header: dict[str, Any], context: bytes) -> Answer:
    """Run the same replay, and keep the session for the next turn."""
    if not supported(function.code):
        return replay(sessions, function, header, context)
    session = ExtendedSession(function.code, context.decode(), header["turn"])
    facts, state = session.start()
    answer, text = _state(state)
    if answer["ok"]:
        sessions.keep(header["session"], session)
    return {**answer, **facts}, text


def resume_session(sessions: ExtendedSessions, _function: Function, header: dict[str, Any], body: bytes) -> Answer:
    """Run one more turn of a session. `gone`: the session is dropped, or the SDK could not continue."""
    return next_turn(sessions, header, read_events(body))


def next_turn(sessions: ExtendedSessions, header: dict[str, Any], events: list[dict[str, Any]]) -> Answer:
    """Run the events of a turn in the session that `header` names, if it is the session's next turn."""
    session = sessions.take(header["session"], header["turn"])
    if session is None:
        return GONE
    try:
        facts, state = session.resume(events)
        answer, text = _state(state)
    except Exception:  # a replay raises the same, or shows that only the session was broken
        log.exception("A warm orchestration could not continue; it is replayed from its history.")
        return GONE
    if answer["ok"]:
        sessions.keep(header["session"], session)
    return {**answer, **facts}, text


TURNS: dict[str, Turn] = {"replay": replay, "start_session": start_session, "resume_session": resume_session}


def _state(state: State) -> Answer:
    """The SDK's state as JSON text, also when user code raised; a `sentence` where the execution cannot continue."""
    try:
        return {"ok": True}, state().encode()
    except DeadEnd as end:
        return {"ok": False, "sentence": str(end), "error": str(end), "stack": end.stack}, b""
    except Exception as fault:
        text = _state_in(fault)
        if text is None:
            raise
        stack = stack_of(fault.__cause__ or fault)
        return {"ok": True, "stack": stack}, text.encode()


def _state_in(fault: Exception) -> str | None:
    """The state that the SDK packs behind the message of a failing orchestrator.

    The length of the message finds the state, not a search, because the message may itself quote such a text.
    """
    start = len(text_of(fault.__cause__ or fault)) + len(OUT_OF_PROC_LABEL)
    text = text_of(fault)
    return text[start:] if text[:start].endswith(OUT_OF_PROC_LABEL) else None
