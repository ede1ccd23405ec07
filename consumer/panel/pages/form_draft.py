"""A form under way, as a page posts it; it is pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from consumer.panel.pages.form_fields import HookForm, parse_form
from consumer.panel.pages.visit import Visit

_MAX_REVISION_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Draft:
    """A form under way, and what it is a change of."""

    hook_id: str | None
    """None: it makes a new hook."""
    form: HookForm
    seen: int = 0
    """The revision that it began from; 0: none."""
    comment: str = ""


def draft_of(visit: Visit) -> Draft:
    """The form that was posted; what no page of ours posts counts as not said."""
    hook_id, posted = visit.parameters.get("hook"), visit.form
    form = parse_form(posted)
    if hook_id is not None:
        form = replace(form, id=hook_id)
    return Draft(hook_id, form, posted_revision(posted), posted.get("comment", "").strip())


def posted_revision(posted: Mapping[str, str]) -> int:
    """The revision that a form began from; 0 if it names none."""
    seen = posted.get("seen", "")
    is_number = seen.isascii() and seen.isdigit() and len(seen) <= _MAX_REVISION_DIGITS
    return int(seen) if is_number else 0
