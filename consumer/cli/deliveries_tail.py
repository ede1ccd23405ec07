"""`hookstream deliveries tail`: a line for each delivery as it is logged."""

from collections.abc import Mapping
from contextlib import aclosing

from rich.text import Text

from consumer.cli.console import output, print_json
from consumer.cli.deliveries_list import cells, parse
from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.journal.log_filter import LogFilter
from consumer.services.deliveries import Deliveries, delivery_facts, make_deliveries
from consumer.settings import Settings


def follow(
    settings: Settings, texts: Mapping[str, str], limit: int | None, *, as_json: bool
) -> None:
    """Print deliveries as they come, up to `limit` of them. Raises `HookstreamError`."""
    log = make_deliveries(settings, SystemClock())
    wanted = parse(log, texts)
    run_on_loop(lambda: _follow(log, wanted, limit, as_json=as_json))


async def _follow(log: Deliveries, wanted: LogFilter, limit: int | None, *, as_json: bool) -> None:
    console, printed = output(), 0
    found = log.follow(wanted)
    async with aclosing(found):
        async for one in found:
            if as_json or not console.is_terminal:
                print_json(delivery_facts(one))
            else:
                console.print(Text(" ").join(cell for cell in cells(one) if cell.plain))
            printed += 1
            if printed == limit:
                return
