"""`python -m consumer` and the `hookstream` command."""

import sys

from consumer.cli.commands import commands
from consumer.cli.console import print_error, print_problems
from consumer.errors import ConfigError, HookstreamError

RUN_TIME_FAILURE = 1
USAGE_ERROR = 2
"""The code of a wrong command line too, as everywhere in Unix."""


def main() -> None:
    """Run the command line. What is expected to go wrong ends in sentences and an exit code; any
    other exception is a bug and shows its traceback.
    """
    try:
        commands()
    except ConfigError as error:
        print_problems(error.problems)
        sys.exit(USAGE_ERROR)
    except HookstreamError as error:
        print_error(str(error))
        sys.exit(RUN_TIME_FAILURE)


if __name__ == "__main__":
    main()
