"""The names of the saga's steps, in order, and the compensation of each that has one: as the saga's table has them."""

from orchestrators import steps

STEPS = tuple(step.activity for step in steps.STEPS)
UNDO = {step.activity: step.undo for step in steps.STEPS if step.undo}
