"""What pages take: queries, forms, addresses, languages and themes; and how they write numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.panel.pages.choices import choice, number
from consumer.panel.pages.formats import Formats, moment
from consumer.panel.pages.inputs import local_path, parse_fields
from consumer.panel.pages.preferences import Preferences, preferences, set_cookie
from consumer.panel.pages.render import url
from consumer.panel.problems import Problem


def test_empty_fields_of_a_form_are_no_filters() -> None:
    """A form sends each of its fields; those without a text are left out."""
    assert parse_fields("q=+a+&trigger=&state=on") == {"q": "a", "state": "on"}


@pytest.mark.parametrize(
    "query", ["q=1&q=2", "q=%ff", "q", f"q={'x' * 1_025}", "&".join("abc=1" for _ in range(60))]
)
def test_a_query_that_cannot_be_meant_is_refused(query: str) -> None:
    """A name twice, bytes that are no text, no pairs, and too much are refused."""
    with pytest.raises(Problem):
        parse_fields(query)


@pytest.mark.parametrize(
    ("given_path", "found"),
    [
        ("/hooks?q=a", "/hooks?q=a"),
        ("/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_after_a_log_in_no_other_site_is_opened(given_path: str, found: str) -> None:
    """The address to go on with is this panel's; any other one is replaced by the first page."""
    assert local_path(given_path) == found


def test_an_unknown_choice_is_refused_with_the_closest() -> None:
    """A word that is no choice is refused, and the hint names the one that it resembles."""
    assert choice({}, "state", ("on", "off")) is None
    assert choice({"state": "on"}, "state", ("on", "off")) == "on"
    with pytest.raises(Problem) as refused:
        choice({"state": "offf"}, "state", ("on", "off"))
    assert refused.value.details.problems[0].hint == "did you mean off?"


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.0", "1e3", "100", "٣", "9" * 5_000])
def test_a_number_out_of_its_range_is_refused(text: str) -> None:
    """A page's number is a plain decimal one from 1 to its bound."""
    assert number({}, "page", 1, 99) == 1
    assert number({"page": "99"}, "page", 1, 99) == 99
    with pytest.raises(Problem):
        number({"page": text}, "page", 1, 99)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"), ("tr-TR,tr;q=0.9,en;q=0.8", "tr"), ("de, tr;q=0.5", "tr"), ("en,tr", "en"),
        ("fr", "en"), ("tr;q=0", "en"), ("tr;q=x", "en"), ("en;q=0.1,tr;q=0.2", "tr"),
    ],
)  # fmt: skip
def test_the_browser_says_which_language_is_wanted(header: str, language: str) -> None:
    """Without a cookie the language is the one that the browser asks for most, or English."""
    assert preferences({}, header).language == language


def test_cookies_win_and_nonsense_in_them_is_passed_over() -> None:
    """A chosen language and theme are kept; a cookie with anything else, or twice, is none."""
    chosen = {"hookstream_language": ["tr"], "hookstream_theme": ["dark"]}
    assert preferences(chosen, "en") == Preferences("tr", "dark")
    wrong = {"hookstream_language": ["xx"], "hookstream_theme": ["dark", "light"]}
    assert preferences(wrong, "en") == Preferences("en", None)
    assert "Secure" in set_cookie("a", "b", secure=True)


@given(st.text())
def test_any_accept_language_is_taken(header: str) -> None:
    """No header of a browser is an error."""
    assert preferences({}, header).language in {"en", "tr"}


def test_each_language_writes_numbers_its_own_way() -> None:
    """Turkish has a point between thousands, a comma before decimals, and the % sign first."""
    english, turkish = Formats("en"), Formats("tr")
    assert english.number(1234567.5, 1) == "1,234,567.5"
    assert turkish.number(1234567.5, 1) == "1.234.567,5"
    assert (english.percent(0.123), turkish.percent(0.123)) == ("12.3 %", "%12,3")
    assert (english.milliseconds(1500), turkish.milliseconds(8.25)) == ("1.5 s", "8,2 ms")
    assert (english.duration(3_900), turkish.duration(90)) == ("1 h 5 min", "1 dk 30 sn")
    assert (english.compact(2_500), english.compact(0.5), turkish.compact(1e6)) == (
        "2.5k",
        "0.5",
        "1M",
    )


def test_almost_all_is_not_all() -> None:
    """A share that is neither nothing nor all is not rounded to it."""
    formats = Formats("en")
    assert [formats.percent(one) for one in (0.0, 1e-9, 0.99999, 1.0)] == [
        "0 %", "0.01 %", "99.99 %", "100 %",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-29T10:00:00", None])
def test_a_text_that_is_no_time_is_none(text: str | None) -> None:
    """A time without its zone, or none at all, is not taken for one."""
    assert moment(text) is None


def test_addresses_leave_out_what_is_empty() -> None:
    """An address has the parameters that say something, encoded."""
    assert url("/hooks", q="a&b", trigger=None, state="") == "/hooks?q=a%26b"
    assert url("/hooks") == "/hooks"
