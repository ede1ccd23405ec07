"""Draws horizontal bars as SVG, in two colours, for light and dark pages."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks.published import number

_WIDTH = 880
_LABELS = 320
"""The horizontal position between labels and bars."""
_LONGEST = 440
_LINE, _BAR = 26, 16
_HEAD, _GAP, _MARGIN = 34, 20, 16

# It has its own background: an image knows the colour scheme of the system, not of the page.
_STYLE = """
.surface { fill: #ffffff; stroke: #d1d9e0 }
.ours { fill: #0969da }
.other { fill: #8c959f }
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600; font-size: 14px }
.hint { fill: #59636e }
@media (prefers-color-scheme: dark) {
  .surface { fill: #0d1117; stroke: #3d444d }
  .ours { fill: #4493f8 }
  .other { fill: #656c76 }
  text { fill: #f0f6fc }
  .hint { fill: #9198a1 }
}
"""


class Bar(NamedTuple):
    """One line of a panel."""

    label: str
    value: float
    ours: bool


class Panel(NamedTuple):
    """Bars of one unit, the longest of which fills the width."""

    title: str
    unit: str
    hint: str
    """Whether less or more is better."""
    bars: Sequence[Bar]


def draw(title: str, panels: Sequence[Panel]) -> str:
    """The whole image; `title` is for screen readers."""
    parts, y = [], _MARGIN
    for panel in panels:
        parts += _panel(panel, y)
        y += _HEAD + _LINE * len(panel.bars) + _GAP
    height = y - _GAP + _MARGIN
    size = f'width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {size}>',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="surface" x="1" y="1" width="{_WIDTH - 2}" height="{height - 2}" rx="6"/>',
        *parts,
        "</svg>\n",
    ]
    return "\n".join(lines)


def _panel(panel: Panel, y: int) -> list[str]:
    title = f"{escape(panel.title)}, {escape(panel.unit)}"
    hint = f'<tspan class="hint" font-weight="400">({escape(panel.hint)})</tspan>'
    parts = [f'<text class="head" x="{_MARGIN}" y="{y + 16}">{title} {hint}</text>']
    scale = _LONGEST / max(bar.value for bar in panel.bars)
    for index, bar in enumerate(panel.bars):
        top = y + _HEAD + index * _LINE
        length, middle = round(bar.value * scale, 1), top + 13
        label, colour = escape(bar.label), "ours" if bar.ours else "other"
        at = f'x="{_LABELS}" y="{top}" width="{length}" height="{_BAR}"'
        parts += [
            f'<text x="{_LABELS - 10}" y="{middle}" text-anchor="end">{label}</text>',
            f'<rect class="{colour}" {at} rx="2"/>',
            f'<text x="{_LABELS + length + 8:g}" y="{middle}">{number(bar.value)}</text>',
        ]
    return parts
