"""The simulation itself: it repeats exactly, finds faults, and shrinks what it finds."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.records.line_table import Home
from consumer.records.order_line import Line
from consumer.records.order_lines import OrderLines
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.settled_runs import Run
from consumer.records.tracker import InFlightRecord, OffsetTracker
from consumer.stream.give_back import GiveBack
from consumer.stream.outbox import Outbox
from simulation.__main__ import describe, explain, main
from simulation.plan import Kind, Plan, Step, make_plan
from simulation.shrink import shrink
from simulation.virtual_time import DeadlockError, run_virtually
from simulation.world import run
from support.project import ROOT

MOST_SEEDS = 150
"""So many find each fault: the rarest shows in 6 of 100."""


def _commit_one_too_far(patch: pytest.MonkeyPatch) -> None:
    def committable(tracker: OffsetTracker) -> int:
        return min(tracker.next_offset, next(iter(tracker._unsettled), tracker.next_offset) + 1)

    patch.setattr(OffsetTracker, "committable", property(committable))


def _put_back_forgets(patch: pytest.MonkeyPatch) -> None:
    def put_back(tracker: OverflowTracker, offset: int, _first_failed_at: float) -> None:
        del tracker._unsettled[offset]

    patch.setattr(OverflowTracker, "put_back", put_back)


def _settled_text_one_off(patch: pytest.MonkeyPatch) -> None:
    right = OverflowTracker._runs

    def runs(tracker: OverflowTracker) -> list[Run]:
        return [(start, min(end + 1, tracker.next_offset)) for start, end in right(tracker)]

    patch.setattr(OverflowTracker, "_runs", runs)


def _release_drops_deliveries(patch: pytest.MonkeyPatch) -> None:
    def release(scheduler: Scheduler, which: Callable[[InFlightRecord], bool]) -> None:
        for endpoint in scheduler._table.endpoints.values():
            for delivery in endpoint.pop_matching(lambda each: which(each.source_record)):
                scheduler._waiting -= 1
                delivery.ended = True
                scheduler._unfinished.deliveries.discard(delivery)
                delivery.source_record.ack_one()

    patch.setattr(Scheduler, "release", release)


def _failed_batches_count(patch: pytest.MonkeyPatch) -> None:
    def conclude(
        _outbox: Outbox, _topic: str, records: list[object], _result: object
    ) -> list[object]:
        for record in records:
            record.acknowledged()  # type: ignore[attr-defined]
        return []

    patch.setattr(Outbox, "_conclude", conclude)


def _no_commit_before_a_rebalance(patch: pytest.MonkeyPatch) -> None:
    async def finish(_give_back: GiveBack, _leaving: object, **_more: object) -> None:
        return

    patch.setattr(GiveBack, "_finish", finish)


def _homes_are_sure_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Home, "is_sure", property(lambda home: home.tracker is not None))


def _new_ones_overtake(patch: pytest.MonkeyPatch) -> None:
    def may_begin(lines: OrderLines, line: Line) -> bool:
        return not line.is_busy and not line.followers and lines.may_go_on(line)

    patch.setattr(OrderLines, "may_begin", may_begin)


@pytest.mark.parametrize(
    "breaks",
    [
        _commit_one_too_far,
        _put_back_forgets,
        _settled_text_one_off,
        _release_drops_deliveries,
        _failed_batches_count,
        _no_commit_before_a_rebalance,
        _homes_are_sure_at_once,
        _new_ones_overtake,
    ],
)
def test_a_fault_is_found(
    breaks: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that is broken in one place breaks a promise in one of a few worlds."""
    breaks(monkeypatch)
    assert any(run(make_plan(seed)).violation is not None for seed in range(MOST_SEEDS))


def test_a_failing_seed_shrinks_to_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing seed is told as the few steps that it takes, with the story of a delivery and the
    command that repeats it.
    """
    _commit_one_too_far(monkeypatch)
    plan = next(
        plan for plan in map(make_plan, range(MOST_SEEDS)) if run(plan).violation is not None
    )
    told = explain(plan)
    assert told.count("\n  step ") <= 3
    assert "is committed, but neither delivered nor written elsewhere" in told
    repeated = told.rpartition('SIMULATE_FLAGS="')[2].partition('"')[0]
    assert main(repeated.split()) == 1


def test_a_plan_shrinks_as_long_as_it_fails() -> None:
    """Of a plan stay the steps that its failure needs, with the smallest numbers."""

    def fails(plan: Plan) -> bool:
        return any(step.ordinal == 3 and step.number >= 7 for step in plan.steps)

    steps = tuple(Step(number, float(number), Kind.PRODUCE, 50) for number in range(9))
    [step] = shrink(replace(make_plan(0), steps=steps), fails).steps
    assert (step.ordinal, step.number) == (3, 7)


def test_a_seed_repeats_exactly_in_any_process() -> None:
    """A seed has the same story in each process, whatever the hashes of texts are there."""
    stories = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "tests")}
        command = [sys.executable, "-m", "simulation", "--seed", "3", "--delivery", "e1:h0"]
        ended = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        stories.add(ended.stdout)
    [story] = stories
    assert "written: event/" in story


def test_tasks_that_wait_for_each_other_are_told() -> None:
    """Virtual time ends with an error when every task waits and no timer runs."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError, match="every task waits"):
        run_virtually(wait())


def test_a_delivery_that_is_always_rejected_blocks_no_other() -> None:
    """Once a receiver that rejected everything is well again, the deliveries behind one that it
    always rejects are made: the next probe is another delivery.
    """
    steps = (
        Step(0, 0.0, Kind.PRODUCE, 60),
        Step(1, 2.0, Kind.RECEIVER, 1, "h1 refuse", 4.0),
        Step(2, 2.5, Kind.PRODUCE, 60),
    )
    for seed in range(20):
        plan = replace(make_plan(seed), poison=True, max_attempts=60, steps=steps)
        result = run(plan, keep_story=True)
        assert result.violation is None, describe(result)


def test_a_partition_that_comes_back_keeps_its_order() -> None:
    """What is in flight in a partition that was to move, and is assigned to its owner again, goes
    on: it is neither deferred nor overtaken.
    """
    kept = (0, 33), (1, 1), (2, 45), (3, 0), (5, 1), (6, 18), (7, 15), (8, 1), (9, 38)
    result = run(make_plan(5791).keep([*kept, (10, 100), (11, 1)]), keep_story=True)
    assert result.violation is None, describe(result)


def test_a_partition_may_be_read_again_whose_owner_could_not_publish() -> None:
    """What comes again because a write was not acknowledged when its partition was given back has
    a reason, also if the acknowledgement came before the next owner began.
    """
    kept = (0, 54), (3, 1), (7, 1), (8, 1), (11, 46)
    result = run(make_plan(22188).keep(kept), keep_story=True)
    assert result.violation is None, describe(result)


def test_a_last_delivery_that_is_always_rejected_expires() -> None:
    """The only delivery that is left for a receiver that had rejected everything is the probe until
    it expires, if it is rejected for ever: no other one could tell that the receiver is well.
    """
    kept = (0, 39), (1, 44), (2, 1), (3, 43), (4, 47), (5, 66), (15, 1)
    result = run(make_plan(31029).keep(kept), keep_story=True)
    assert result.violation is None, describe(result)
