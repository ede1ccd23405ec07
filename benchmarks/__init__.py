"""Benchmarks of the daemon, compared with scripts that replace it: `python -m benchmarks`."""

import sys
from pathlib import Path

# The benchmarks start the broker with code of the tests, which are not a package.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
