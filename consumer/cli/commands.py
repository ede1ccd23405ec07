"""The commands of `hookstream` and their help."""

import math
from typing import Annotated

import typer

from consumer import __version__
from consumer.cli.console import print_error, print_note
from consumer.cli.dead_letters import dead_letters
from consumer.cli.deliveries import HookFilter, deliveries
from consumer.cli.hooks import HookId, hooks
from consumer.cli.options import ConfigFile, LiveHook
from consumer.cli.panel import panel
from consumer.cli.schema import schema
from consumer.clock import SystemClock
from consumer.events.triggers import Trigger

commands = typer.Typer(
    name="hookstream",
    help="Turns a mobile push platform's event stream into webhook calls.",
    epilog="Settings are in [bold]config/hookstream.yaml[/] or the file that --config names. Each "
    "is also an environment variable, HOOKSTREAM_SECTION__KEY. Exit codes: 0 done, 1 failed while "
    "running, 2 wrong usage, settings or hooks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # developers need a bug's full traceback
    context_settings={"help_option_names": ["-h", "--help"]},
)

commands.add_typer(hooks)
commands.add_typer(deliveries)
commands.add_typer(dead_letters)
commands.add_typer(panel)
commands.add_typer(schema)

_EVENT_HELP = "File with an event in JSON, as in Kafka; - reads standard input."
Reveal = Annotated[bool, typer.Option("--reveal", help="Show secrets and signatures.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # a typer callback
    if wanted:
        typer.echo(f"hookstream {__version__}")
        raise typer.Exit


@commands.callback()
def hookstream(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


@commands.command(
    epilog="SIGHUP reloads settings and hooks, all or nothing. SIGTERM and SIGINT finish requests "
    "in flight or defer them to a retry topic; a second signal exits at once."
)
def run(config: ConfigFile = None) -> None:
    """Run the daemon."""
    from consumer.cli.run import run as serve

    serve(config)


@commands.command(
    epilog="Needs no broker. Each problem is printed on a line with its file, line, field and a "
    "hint; the exit code is then 2."
)
def check(config: ConfigFile = None) -> None:
    """Validate settings and hooks, and show the hooks."""
    from consumer.cli.check import show
    from consumer.configuration import read_config

    show(read_config(config))


@commands.command(
    epilog="With an event, the request is the one that the daemon would send for it. Without one, "
    "${hook.url} stands for the URI, and <profile city> for a value of the event.\n\n"
    "If the hook does not fire for the event, the command is printed with the reason, and the exit "
    "code is 1. It is also 1 if a value is rejected; there is no request then."
    "\n\n[bold]hookstream sample click-analytics[/]\n\n"
    "[bold]hookstream sample click-analytics --event click.json --reveal | sh[/]"
)
def sample(
    hook: HookId,
    event: Annotated[
        typer.FileBinaryRead | None,
        typer.Option(metavar="FILE", help=_EVENT_HELP, show_default=False),
    ] = None,
    *,
    reveal: Reveal = False,
    live: LiveHook = False,
    config: ConfigFile = None,
) -> None:
    """Show a hook's request as a curl command."""
    from consumer.cli.config import find_hook
    from consumer.cli.event import read_event
    from consumer.configuration import read_config
    from consumer.matching.explain import explain
    from consumer.services.samples import event_sample, template_sample

    loaded = read_config(config)
    settings, found = loaded.settings, find_hook(loaded, hook, live=live)
    if event is None:
        shown = template_sample(found, settings, reveal=reveal)
        mismatch = ""
    else:
        clock = SystemClock()
        parsed = read_event(event, found.trigger, settings, clock)
        shown = event_sample(found, parsed, settings, clock.now(), reveal=reveal)
        mismatch = explain(found, parsed).detail
    # Bytes, since header values are UTF-8 on the wire in any locale.
    typer.echo(shown.curl(settings).encode())
    if mismatch:
        print_error(f"the daemon would not send this: {mismatch}")
        raise typer.Exit(1)


@commands.command(
    epilog="Needs no broker, but for --live. Makes one attempt with the settings' transport and "
    "timeouts. The exit code is 0 if the receiver answers 2xx, otherwise 1.\n\n"
    "[bold]hookstream send click-analytics --event click.json[/]"
)
def send(
    hook: HookId,
    event: Annotated[
        typer.FileBinaryRead, typer.Option(metavar="FILE", help=_EVENT_HELP, show_default=False)
    ],
    *,
    live: LiveHook = False,
    config: ConfigFile = None,
) -> None:
    """Send one delivery now, and show the result."""
    from consumer.cli.config import find_hook
    from consumer.cli.event import read_event
    from consumer.cli.send import send as send_now
    from consumer.configuration import read_config
    from consumer.matching.explain import explain
    from consumer.services.event_input import test_topic
    from consumer.services.samples import event_sample

    loaded, clock = read_config(config), SystemClock()
    settings, found = loaded.settings, find_hook(loaded, hook, live=live)
    parsed = read_event(event, found.trigger, settings, clock, test_topic())
    mismatch = explain(found, parsed).detail
    if mismatch:
        print_note(f"the daemon would not send this: {mismatch}")
    shown = event_sample(found, parsed, settings, clock.now(), reveal=False)
    if not send_now(found, parsed, shown, settings, clock):
        raise typer.Exit(1)


@commands.command(
    epilog="Needs no broker, but for --live. A hook is stopped by the first of: trigger, disabled, "
    "silenced, select, app, composed, when; of the last the test that failed is named, with the "
    "event's value. Of one hook that fires, each value of its request is shown with its origin, "
    "and what follows if it is missing; fixed values and secrets never are. In a pipe each hook is "
    "a line of JSON.\n\n"
    "[bold]hookstream explain --event click.json click-analytics[/]"
)
def explain(
    hook: Annotated[
        str | None, typer.Argument(metavar="[HOOK]", help="The id of one hook; without it, all.")
    ] = None,
    *,
    event: Annotated[
        typer.FileBinaryRead, typer.Option(metavar="FILE", help=_EVENT_HELP, show_default=False)
    ],
    trigger: Annotated[
        Trigger | None,
        typer.Option(help="What the event is, if its fields do not tell.", show_default=False),
    ] = None,
    live: LiveHook = False,
    config: ConfigFile = None,
) -> None:
    """Say for each hook whether it fires for an event, or what stops it."""
    from consumer.cli.config import all_hooks, find_hook
    from consumer.cli.event import read_event
    from consumer.cli.explain import show, show_one
    from consumer.configuration import read_config

    loaded = read_config(config)
    parsed = read_event(event, trigger, loaded.settings, SystemClock())
    if hook is None:
        show(parsed, all_hooks(loaded, live=live))
    else:
        show_one(parsed, find_hook(loaded, hook, live=live))


@commands.command(
    epilog="Counts are kept by hours, exact over crashes and replicas; a part of an hour counts as "
    "a whole one. On a terminal it prints a table, in a pipe one JSON object a line. Percentiles "
    "are of attempts, as if their times were even within a bucket.\n\n"
    "[bold]hookstream reports --hook click-analytics --since 168h --step 1d[/]"
)
def reports(
    *,
    hook: HookFilter = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="From this time on: 2026-11-24T10:00:00Z, or 2h for the last two hours.",
            show_default="24h",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Up to this time.", show_default=False),
    ] = None,
    step: Annotated[
        str | None, typer.Option(metavar="STEP", help="1h or 1d (UTC).", show_default="1h")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Show counts, rates and times of attempts, by hook and hour."""
    from consumer.cli.reports import show
    from consumer.settings import environment, load_settings

    texts = {"hook": hook, "since": since, "until": until, "step": step}
    given = {name: text for name, text in texts.items() if text is not None}
    show(load_settings(config, environment()), given)


@commands.command(
    epilog="Needs the package's extra: [bold]pip install 'hookstream\\[demo]'[/]. Ctrl-C stops it "
    "early and cleanly."
)
def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds of events.",
            show_default="until Ctrl-C; without a terminal 30",
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=5000,
            help="Events per second.",
            show_default="200; until Ctrl-C 20",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same events.")] = 1,
) -> None:
    """Run the whole system on this machine, on generated events."""
    from consumer.cli.console import output
    from consumer.cli.process import run_on_loop
    from consumer.demo.environment import Options
    from consumer.demo.run import run_demo

    console = output()
    if seconds is None:
        seconds = math.inf if console.is_terminal else 30.0
    if rate is None:  # the embedded broker keeps little, and a person who looks around has time
        rate = 20 if math.isinf(seconds) else 200
    options = Options(seconds, rate, seed)
    run_on_loop(lambda: run_demo(options, console))
