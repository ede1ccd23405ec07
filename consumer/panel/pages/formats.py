"""Numbers and times as people read them, by language; it is pure."""

from datetime import UTC, datetime
from typing import Final

from consumer.panel.pages.catalogue import Language

_SEPARATORS: Final = {"en": (",", "."), "tr": (".", ",")}
"""Between thousands, and before decimals."""
_UNITS: Final = {
    "en": {"ms": "ms", "s": "s", "m": "min", "h": "h", "d": "d"},
    "tr": {"ms": "ms", "s": "sn", "m": "dk", "h": "sa", "d": "gün"},
}
_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_SIZES: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SECOND_MS: Final = 1000.0
_MINUTE_SECONDS: Final = 60.0
_SMALL: Final = 10.0
_ALMOST_ALL: Final = 0.9999
_ALMOST_NONE: Final = 0.0001


class Formats:
    """How one language writes numbers and times."""

    def __init__(self, language: Language) -> None:
        self._thousands, self._decimal = _SEPARATORS[language]
        self._units = _UNITS[language]
        self._percent = "%{}" if language == "tr" else "{} %"

    def number(self, value: float, decimals: int = 0) -> str:
        """`1,234.5`."""
        text = f"{value:,.{decimals}f}"
        return text.replace(",", "\0").replace(".", self._decimal).replace("\0", self._thousands)

    def compact(self, value: float) -> str:
        """A number for an axis: `2.5k`, `1M`."""
        for size, letter in _SIZES:
            if value >= size:
                return f"{self._trimmed(value / size)}{letter}"
        return self._trimmed(value)

    def _trimmed(self, value: float) -> str:
        text = self.number(value, 2)
        return text.rstrip("0").rstrip(self._decimal)

    def percent(self, share: float) -> str:
        """A share from 0 to 1; neither all nor nothing is written as such unless it is."""
        if share in {0.0, 1.0}:
            return self._percent.format(self.number(share * 100))
        decimals = 2 if share > _ALMOST_ALL - 0.009 or share < _ALMOST_NONE + 0.009 else 1
        bounded = min(max(share, _ALMOST_NONE), _ALMOST_ALL)
        return self._percent.format(self.number(bounded * 100, decimals))

    def milliseconds(self, value: float) -> str:
        """`12 ms`, `1.2 s`."""
        if value < _SECOND_MS:
            decimals = 1 if value < _SMALL else 0
            return f"{self.number(value, decimals)} {self._units['ms']}"
        return f"{self.number(value / _SECOND_MS, 1)} {self._units['s']}"

    def duration(self, seconds: float) -> str:
        """The two largest units: `1 h 5 min`."""
        rest, parts = round(abs(seconds)), list[str]()
        for size, unit in _STEPS:
            if rest >= size and len(parts) < 2:  # noqa: PLR2004  # the docstring's two
                parts.append(f"{rest // size} {self._units[unit]}")
                rest %= size
            elif parts:
                break
        return " ".join(parts) or f"0 {self._units['s']}"

    def span(self, seconds: float) -> str:
        """A setting of time, exact to the millisecond: `500 ms`, `1.5 s`, `1 h 5 min`."""
        if seconds < _MINUTE_SECONDS:
            return self.milliseconds(seconds * _SECOND_MS).replace(f"{self._decimal}0 ", " ")
        return self.duration(seconds)


def moment(text: str | None) -> datetime | None:
    """The time of RFC 3339; None if it is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def iso(at: datetime) -> str:
    """A time for machines."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def readable(at: datetime) -> str:
    """A time for people, in UTC: `2026-11-29 10:00:00`."""
    return f"{at:%Y-%m-%d %H:%M:%S}"
