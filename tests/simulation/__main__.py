"""`make simulate`: runs many seeds on all cores, or one seed to see its story."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import Pool

from simulation.plan import Plan, make_plan
from simulation.shrink import shrink
from simulation.world import Result, run

_CHUNK = 20
_MAX_FAILURES = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say. Returns the exit code: 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds are run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, help="run this one, and print its story")
    parser.add_argument("--keep", help="run only these steps: ordinal:number,...")
    parser.add_argument("--delivery", default="", help="the delivery that the story is about")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        plan = make_plan(chosen.seed)
        if chosen.keep:
            plan = plan.keep(_kept(chosen.keep))
        result = run(plan, keep_story=True)
        sys.stdout.write(describe(result, chosen.delivery))
        return 1 if result.violation is not None else 0
    failed = 0
    for plan in failing(range(chosen.first, chosen.first + chosen.seeds), chosen.workers):
        failed += 1
        sys.stdout.write(explain(plan))
        sys.stdout.flush()
        if failed == _MAX_FAILURES:
            break
    sys.stdout.write(f"{failed or 'none'} of {chosen.seeds} seeds from {chosen.first} on failed\n")
    return 1 if failed else 0


def failing(seeds: Iterable[int], workers: int | None) -> Iterator[Plan]:
    """The plans of those seeds that break a promise."""
    with Pool(workers) as pool:
        for seed in pool.imap_unordered(_failing_seed, seeds, _CHUNK):
            if seed is not None:
                yield make_plan(seed)


def explain(plan: Plan) -> str:
    """What a failing plan breaks: the smallest plan found, its story, and how to repeat it."""
    smallest = shrink(plan, lambda smaller: run(smaller).violation is not None)
    return describe(run(smallest, keep_story=True))


def describe(result: Result, delivery: str = "") -> str:
    """The story of one run, for a person."""
    plan, violation = result.plan, result.violation
    lines = [f"{replace(plan, steps=())}", *(f"  {step}" for step in plan.steps)]
    if violation is not None:
        lines += result.story.of(delivery or violation.delivery)
        lines.append(f"broken: {violation.text} {violation.delivery}".rstrip())
    elif delivery:
        lines += result.story.of(delivery)
    else:
        lines.append(f"{result.deliveries} deliveries in {result.seconds:.1f} s, all in order")
    flags = f"--seed {plan.seed} --keep {plan.kept}"
    lines.append(f'repeat it: make simulate SIMULATE_FLAGS="{flags}"')
    return "\n".join(lines) + "\n"


def _failing_seed(seed: int) -> int | None:
    return seed if run(make_plan(seed)).violation is not None else None


def _kept(text: str) -> Iterator[tuple[int, int]]:
    for part in text.split(","):
        ordinal, _, number = part.partition(":")
        yield int(ordinal), int(number)


if __name__ == "__main__":
    sys.exit(main())
