"""Makes HTML of what a page shows. Every value is escaped; an unknown name is an error."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from consumer.panel.pages.assets import assets
from consumer.panel.pages.catalogue import LANGUAGE_NAMES, Language, catalogue
from consumer.panel.pages.formats import Formats, iso, moment, readable
from consumer.panel.pages.sentences import sentence

TEMPLATES: Final = Path(__file__).parent.parent / "templates"


def render(template: str, language: Language, values: Mapping[str, Any]) -> str:
    """The HTML of a template."""
    return environment(language).get_template(template).render(values)


@cache
def environment(language: Language) -> Environment:
    """The templates of one language."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    messages, formats = catalogue(language), Formats(language)
    made.globals |= {
        "t": messages.text,
        "tn": messages.count,
        "language": language,
        "language_names": LANGUAGE_NAMES,
        "asset": lambda name: assets()[name].path,
        "url": url,
    }
    made.filters |= {
        "number": formats.number,
        "percent": formats.percent,
        "ms": formats.milliseconds,
        "duration": formats.duration,
        "span": formats.span,
        "says": lambda text: sentence(text, language),
        "time": _time,
        "plain_time": _plain_time,
        "axis_time": _axis_time,
        "compact": formats.compact,
    }
    return made


def url(path: str, **query: object) -> str:
    """An address of the panel; parameters that are None or empty are left out."""
    given = {name: value for name, value in query.items() if value not in {None, ""}}
    return f"{path}?{urlencode(given)}" if given else path


def _time(value: str | float | datetime | None) -> Markup:
    """A time in UTC, also for machines; a text that is none as it is."""
    found = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value
    if isinstance(found, str):
        found = moment(found) or found
    if not isinstance(found, datetime):
        return Markup("{}").format(found or "")
    return Markup('<time datetime="{}">{}</time>').format(iso(found), readable(found))


def _plain_time(at: float) -> str:
    """A time in UTC where no markup may be; `at`: epoch seconds."""
    return readable(datetime.fromtimestamp(at, UTC))


def _axis_time(start: float) -> str:
    """The beginning of a step below a chart: the hour, and the day at its first hour."""
    at = datetime.fromtimestamp(start, UTC)
    return f"{at:%H:%M}" if at.hour else f"{at:%m-%d}"
