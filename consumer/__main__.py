"""`python -m consumer` and the `hookstream` command.

What takes long is imported in functions, after the signals are taken over: the daemon and the panel
obey them from their first instant on.
"""

import os
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
    elif sys.argv[1:2] in (["run"], ["panel"]) and sys.argv[2:3] != ["token"]:
        PROCESS.install()
        _run_server()
    else:
        from consumer.stdio import check_output, keep_descriptors

        unblock()  # the other commands keep Python's defaults
        keep_descriptors()
        check_output()
        _run_command()


def _run_command() -> None:
    from consumer.errors import ConfigError, HookstreamError
    from consumer.stdio import OutputError

    try:
        _dispatch()
    except (ConfigError, HookstreamError, OutputError) as error:
        from consumer.cli.console import print_diagnostics, print_error

        if isinstance(error, ConfigError):
            print_diagnostics(error.diagnostics)
            sys.exit(USAGE_ERROR)
        if not isinstance(error, OutputError) or not error.reader_is_gone:
            print_error(str(error))  # a reader that has seen enough wants no sentence
        sys.exit(RUN_TIME_FAILURE)


def _dispatch() -> None:
    """Call the command. A command line of `run` without a mistake needs no parser: to import typer
    and rich takes a fifth of the start's CPU time.
    """
    from pathlib import Path

    match sys.argv[1:]:
        case ["run"]:
            file = None
        case ["run", "--config" | "-c", name] if os.access(name, os.R_OK):
            file = Path(name)
        case _:
            from consumer.cli.commands import commands

            commands()
            return
    from consumer.collector import gc_paused

    with gc_paused():
        from consumer.cli.run import run
    run(file)


def _run_server() -> None:
    """Run the daemon or the panel, and end the process whatever its threads wait for."""
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
