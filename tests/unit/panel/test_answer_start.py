"""What is shown of a receiver's answer."""

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.services.answers import HIDDEN, SHOWN_BYTES, AnswerStart

SECRET = "canary/of a+key"


def _shown(secrets: list[str], *parts: bytes) -> AnswerStart:
    answer = AnswerStart(secrets)
    for part in parts:
        answer.take(part)
    return answer


def test_the_first_kilobyte_is_shown() -> None:
    """A short answer is shown whole, a long one to 1 KiB, and it says whether it is cut."""
    short = _shown([], b"all ", b"is well")
    assert (short.text, short.is_cut) == ("all is well", False)
    long = _shown([], *[b"x" * 1000] * 100)
    assert (long.text, long.is_cut) == ("x" * SHOWN_BYTES, True)


def test_control_characters_are_escaped() -> None:
    """What could control a terminal or reorder text is escaped; line ends and tabs are kept."""
    answer = _shown([], "a\x1b[31m\u202eb\n\tc\x00".encode(), b"\xff")
    assert answer.text == "a\\x1b[31m\\u202eb\n\tc\\x00\ufffd"


def test_a_secret_that_is_echoed_is_hidden() -> None:
    """A secret of the request is hidden in each spelling that an echo has, also if it comes in
    parts or crosses the end of what is shown.
    """
    for echoed in (SECRET, "canary%2Fof%20a%2Bkey", "canary\\/of a+key"):
        assert _shown([SECRET], f"got {echoed}!".encode()).text == f"got {HIDDEN}!"
    assert _shown([SECRET], *(bytes([one]) for one in SECRET.encode())).text == HIDDEN
    crossing = _shown([SECRET], b"x" * (SHOWN_BYTES - 5) + SECRET.encode() + b" and more")
    assert crossing.text == "x" * (SHOWN_BYTES - 5) + HIDDEN


def test_a_redirect_is_shown_without_secrets() -> None:
    """`Location` is shown of the last header block, whatever its case, with secrets hidden, and
    escaped and cut as a body is.
    """
    answer = AnswerStart([SECRET])
    for line in (
        b"HTTP/1.1 103 Early Hints\r\n", b"Location: /early\r\n", b"\r\n", b"HTTP/1.1 302 X\r\n",
        f"LOCATION:  https://e.example/?key={quote(SECRET, safe='')}\x1b\r\n".encode(), b"\r\n",
    ):  # fmt: skip
        answer.take_line(line)
    assert answer.location == f"https://e.example/?key={HIDDEN}\\x1b"
    answer.take_line(b"location: /" + b"x" * 2 * SHOWN_BYTES)
    assert len(answer.location) == SHOWN_BYTES
    assert AnswerStart([]).location == ""


ODD = "pä\"ss'w<o>r&d/=+ x"
LATIN_1 = ODD.encode().decode("latin-1")


@pytest.mark.parametrize(
    "echoed",
    [
        ODD,
        ODD.encode().upper().decode(),
        LATIN_1,
        html.escape(ODD),
        html.escape(LATIN_1),
        html.escape(ODD).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        json.dumps(ODD),
        json.dumps(ODD, ensure_ascii=False),
        json.dumps(ODD).replace("/", "\\/"),
        json.dumps(LATIN_1),
        json.dumps(ODD, ensure_ascii=False)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
        .replace("'", "\\u0027")
        .replace("=", "\\u003d"),
        quote(ODD),
        quote(ODD, safe="").lower(),
        quote(ODD, safe="!'()*"),
        quote_plus(ODD),
    ],
)
def test_a_secret_is_hidden_in_each_usual_encoding(echoed: str) -> None:
    """A secret with odd characters is hidden as a URI, a form, JSON or HTML has it, in any case,
    and if the receiver takes UTF-8 for Latin-1.
    """
    text = _shown([ODD], b"got " + echoed.encode() + b"!").text
    assert text.replace('"', "") == f"got {HIDDEN}!"


@given(st.binary(max_size=3_000), st.binary(max_size=3_000))
def test_no_answer_shows_a_secret_or_a_control_character(before: bytes, after: bytes) -> None:
    """Whatever stands around it, a secret is not shown, and the text is small and printable."""
    text = _shown([SECRET], before + SECRET.encode() + after).text
    assert SECRET not in text
    assert len(text) <= 10 * SHOWN_BYTES
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)
