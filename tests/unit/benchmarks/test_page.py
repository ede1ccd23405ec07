"""docs/performance.md and its chart are what the published results say."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.bench import Row
from benchmarks.capacity import capacity
from benchmarks.chart import Bar, Panel, draw
from benchmarks.page import BLOCKS, CHART, PAGE, chart, page
from benchmarks.published import PUBLISHED, Result, number, read_results, write_results
from benchmarks.scenarios import SCENARIOS

_SVG = "{http://www.w3.org/2000/svg}"


def test_the_page_shows_the_published_results() -> None:
    """Every figure between the page's comments comes from the published results: `--write-docs`
    would change nothing.
    """
    text = PAGE.read_text()
    assert page(text, read_results(PUBLISHED)) == text


def test_the_chart_shows_the_published_results() -> None:
    """The chart is drawn from the published results."""
    assert chart(read_results(PUBLISHED)) == CHART.read_text()


def test_every_scenario_is_published() -> None:
    """The page has every scenario in its order, and says which were not measured yet."""
    published = list(read_results(PUBLISHED))
    assert published == [name for name in SCENARIOS if name in published]
    for name in SCENARIOS:
        assert f"\n| `{name}`" in PAGE.read_text()


def test_a_page_without_a_block_is_refused() -> None:
    """A page that lacks a block for figures is refused."""
    text = PAGE.read_text().replace("<!-- end of peers -->", "")
    with pytest.raises(ValueError, match="not one block 'peers'"):
        page(text, read_results(PUBLISHED))


def test_what_is_around_a_block_stays() -> None:
    """Only the text between a block's comments is replaced."""
    old = PAGE.read_text()
    new = page(old, _doubled(read_results(PUBLISHED)))
    assert new != old
    assert _outside(new) == _outside(old)


def test_results_are_read_back_as_written(tmp_path: Path) -> None:
    """Results are read back as they were written."""
    results = read_results(PUBLISHED)
    write_results(tmp_path / "new" / "results.json", results)
    assert read_results(tmp_path / "new" / "results.json") == results


def test_the_plan_is_arithmetic_on_the_figures() -> None:
    """The capacity plan follows from the figures: 20,000 a second measured are 12,000 planned, so a
    hundred thousand need nine replicas.
    """
    results = {
        "plain": _result(
            Row("deliveries a second", "1/s", 20_000.0), Row("peak memory", "MB", 100.0)
        ),
        "http2": _result(Row("CPU per delivery", "us", 40.0)),
        "no-match": _result(Row("events a second", "1/s", 100_000.0)),
    }
    lines = list(capacity(results))
    cells = {line.split(" | ")[0]: line.split(" | ")[1:4] for line in lines}
    assert cells["| CPU of all replicas, cores"] == ["0.4", "4.0", "40"]
    assert cells["| replicas (pods)"] == ["1", "9", "84"]
    assert cells["| memory of all, GB"] == ["0.1", "0.9", "8.4"]
    assert cells["| partitions of the source topics"] == ["2", "18", "168"]
    assert cells["| brokers"] == ["3", "4", "40"]
    assert cells["| in flight in each replica"] == ["1,000", "1,111", "1,190"]


def test_bars_are_as_long_as_their_values() -> None:
    """A bar of the chart is as long as its value, and the longest fills the width in every
    panel.
    """
    panel = Panel("t", "us", "less is better", [Bar("a", 10, ours=True), Bar("b", 20, ours=False)])
    image = ET.fromstring(draw("x < y", [panel, panel]))  # noqa: S314  # drawn here
    bars = [each for each in image.iter(f"{_SVG}rect") if each.get("class") in {"ours", "other"}]
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert widths[1] == 2 * widths[0] > 0
    assert widths == widths[:2] * 2


def test_the_chart_is_for_light_and_dark_and_within_its_frame() -> None:
    """The chart has colours for light and dark, brings its own background, and no figure leaves the
    frame.
    """
    drawn = CHART.read_text()
    assert "prefers-color-scheme: dark" in drawn
    image = ET.fromstring(drawn)  # noqa: S314  # our own file
    width = float(image.attrib["width"])
    ends = [
        float(each.attrib["x"]) + float(each.attrib["width"]) for each in image.iter(f"{_SVG}rect")
    ]
    assert max(ends) <= width
    figures = [each for each in image.iter(f"{_SVG}text") if not each.get("text-anchor")]
    assert all(float(each.attrib["x"]) < width - 60 for each in figures)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (600.0, "600"),
        (12_345.6, "12,346"),
        (44.94, "44.9"),
        (0.306, "0.31"),
        (0.0123, "0.012"),
    ],
)
def test_a_number_has_the_digits_that_matter(value: float | None, shown: str) -> None:
    """A number has as many digits in the console's table as on the page."""
    assert number(value) == shown


def _result(*rows: Row) -> Result:
    return Result("", "", "", 1, 1.0, 1.0, list(rows))


def _doubled(results: dict[str, Result]) -> dict[str, Result]:
    return {
        name: each._replace(rows=[row._replace(ours=row.ours * 2) for row in each.rows])
        for name, each in results.items()
    }


def _outside(text: str) -> list[str]:
    kept = []
    for name in BLOCKS:
        before, rest = text.split(f"<!-- {name}: from the results -->\n")
        kept.append(before)
        text = rest.split(f"<!-- end of {name} -->")[1]
    return [*kept, text]
