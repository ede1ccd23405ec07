"""What the daemon costs, beside what a developer would write instead: `python -m benchmarks`."""

import sys
from pathlib import Path

# The broker's starter is shared with the tests, which are no package.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
