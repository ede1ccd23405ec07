"""Finds a smaller plan that breaks the same promise."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from simulation.plan import Plan

_MAX_RUNS = 300


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Drop steps, and make their numbers smaller, as long as the plan fails."""
    runs = 0
    found = True
    while found:
        found = False
        for smaller in _smaller(plan):
            runs += 1
            if runs > _MAX_RUNS:
                return plan
            if fails(smaller):
                plan, found = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    steps = plan.steps
    size = len(steps) // 2
    while size:  # halves first, single steps at the end
        for at in range(0, len(steps), size):
            yield replace(plan, steps=steps[:at] + steps[at + size :])
        size //= 2
    for at, step in enumerate(steps):
        for number in (step.number // 2, step.number - 1):
            if 0 < number < step.number:
                smaller = (*steps[:at], step._replace(number=number), *steps[at + 1 :])
                yield replace(plan, steps=smaller)
