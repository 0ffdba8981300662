"""The saga's steps in order, their compensations, and what an order that ended at a step shows of both.

All of it is derived from the saga's table, so that a test which is about a refused step holds with a step more.
"""

from orchestrators import steps

STEPS = tuple(step.activity for step in steps.STEPS)
UNDO = {step.activity: step.undo for step in steps.STEPS if step.undo}
ALL_UNDOS = tuple(reversed(UNDO.values()))


def up_to(step: str) -> tuple[str, ...]:
    """The steps that an order calls which ends at this one."""
    return STEPS[: STEPS.index(step) + 1]


def following(step: str) -> str:
    """The step that is called when this one is done."""
    return STEPS[STEPS.index(step) + 1]


def undos_after(step: str, *, own: bool = False) -> list[str]:
    """The compensations of an order that ends at this step, in order. A refused step has done nothing: `own` is for a
    step whose own undo runs, too.
    """
    begun = up_to(step) if own else up_to(step)[:-1]
    return [UNDO[each] for each in reversed(begun) if each in UNDO]


def undone_by(step: str, *, own: bool = False, **others: str) -> list[tuple[str, str]]:
    """The same as pairs of a name and a status, which is `done` but for the `others`."""
    return [(name, others.get(name, "done")) for name in undos_after(step, own=own)]


def all_undone(**others: str) -> list[tuple[str, str]]:
    """Of an order whose every step was begun."""
    return [(name, others.get(name, "done")) for name in ALL_UNDOS]


def statuses_at(step: str, status: str = "refused") -> dict[str, str]:
    """The status of each step of an order that this one has ended, when all undos are confirmed."""
    before = {each: "undone" if each in UNDO else "done" for each in up_to(step)[:-1]}
    return {**dict.fromkeys(STEPS, "pending"), **before, step: status}
