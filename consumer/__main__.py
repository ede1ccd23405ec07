"""`python -m consumer` and the `hookstream` command.

What takes long is imported in functions, after the signals are taken over: the daemon obeys them
from its first instant on.
"""

import sys

from consumer.signals import PROCESS, unblock

RUN_TIME_FAILURE = 1
USAGE_ERROR = 2
"""The code of a wrong command line too, as everywhere in Unix."""


def main() -> None:
    """Run the command line. What is expected to go wrong ends in sentences and an exit code; any
    other exception is a bug and shows its traceback.
    """
    if vars(sys.modules["__main__"]).get("main") is not main:
        _run_command()  # within another program, whose signals, streams and end are its own
    elif sys.argv[1:2] == ["run"]:
        PROCESS.install()
        _run_daemon()
    else:
        from consumer.stdio import check_output

        unblock()  # the other commands keep Python's defaults
        check_output()
        _run_command()


def _run_command() -> None:
    from consumer.cli.commands import commands
    from consumer.cli.console import print_diagnostics, print_error
    from consumer.errors import ConfigError, HookstreamError
    from consumer.stdio import OutputError

    try:
        commands()
    except ConfigError as error:
        print_diagnostics(error.diagnostics)
        sys.exit(USAGE_ERROR)
    except HookstreamError as error:
        print_error(str(error))
        sys.exit(RUN_TIME_FAILURE)
    except OutputError as error:
        if not error.reader_is_gone:  # a reader that has seen enough wants no sentence
            print_error(str(error))
        sys.exit(RUN_TIME_FAILURE)


def _run_daemon() -> None:
    """Run the command, and end the process whatever its threads wait for."""
    from consumer.stdio import background_stderr, check_output, end_process, keep_descriptors

    keep_descriptors()
    background_stderr()
    check_output()
    code: object = None
    try:
        _run_command()
    except SystemExit as ending:
        code = ending.code
    except BaseException:  # noqa: BLE001  # a bug: shown as Python would show it
        sys.excepthook(*sys.exc_info())
        code = RUN_TIME_FAILURE
    end_process(code)


if __name__ == "__main__":
    main()
