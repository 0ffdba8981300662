"""Would the real host have written this history? An independent second opinion.

An orchestration in Python is numbered twice. The SDK gives ids to tasks in the order in which the orchestrator
yields them. The real host's extension asks the orchestrator for its list of actions and *walks* it: invoke an
action, await it, invoke the next; it gives ids in the order of invocation. Where the two disagree, the real host
hangs or fails the instance, although a host that follows the SDK runs it.

This package is the second numbering, written from what the .NET extension and its framework do, and sharing no code
with devhost. `walk` takes a history and the orchestrator, goes through the executions one by one and names the
first one that the extension would have ended with other decisions. No disagreement means: the real host would have
produced the same ids, and can take the instance over at any point.

Rejected: comparing only the last execution (a wrong id in the middle can be right again at the end), and trusting
the recorded decisions of the execution under test (they are what is to be proved). Not covered: rewound histories,
whose failed rows are overwritten so that the past cannot be walked any more.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from tests.replay.oracle.extension import Replay
from tests.replay.oracle.history import Decision, Disagreement, Event, Execution, Orchestrator, split


def walk(history: Sequence[Event], orchestrator: Orchestrator) -> list[Disagreement]:
    """Re-execute `history` as the real host does; return the disagreements of the first execution that has any.

    `history` is the list of events in the SDK's JSON shape (PascalCase, numeric EventType), in stored order; an
    instance still in flight is fine. `orchestrator` takes the request's JSON text and returns the response's, as
    the SDK's `handle` does. Later executions are not looked at after a disagreement: on the real host they would
    have had another past.

    Raises MalformedHistory, UnknownAction.
    """
    executions = split(history)
    past: list[Event] = []
    for number, execution in enumerate(executions):
        if disagreements := _disagreements(number, past, execution, orchestrator):
            return disagreements
        past = past + execution.events
    return []


def _disagreements(
    number: int, past: list[Event], execution: Execution, orchestrator: Orchestrator
) -> list[Disagreement]:
    current = [{**event, "IsPlayed": False} for event in execution.messages]
    replay = Replay(number, past + current, orchestrator)
    for event in past + current:
        replay.feed(event)
        if replay.disagreement:
            return [replay.disagreement]
    return list(_compare(number, replay.decisions(), execution.decisions))


def _compare(number: int, expected: list[Decision], recorded: list[Decision]) -> Iterable[Disagreement]:
    if sorted(decision.id for decision in recorded) != [decision.id for decision in recorded]:
        # Decisions are appended in the order of their ids: name the places that are out of order.
        pairs = list(zip_longest(expected, recorded))
    else:
        wanted, held = ({decision.id: decision for decision in side} for side in (expected, recorded))
        pairs = [(wanted.get(id_), held.get(id_)) for id_ in sorted(wanted.keys() | held.keys())]
    for want, have in pairs:
        if want is None or not want.same_as(have):
            yield Disagreement(number, (want or have).id, want, have)
