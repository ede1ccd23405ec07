"""The URI template of a hook: how it is split, and what is refused."""

import pytest

from consumer.errors import InvalidValue
from consumer.hooks.template import parse_template


@pytest.mark.parametrize(
    ("uri", "origin", "host"),
    [
        ("https://Example.com/x", "https://example.com", "example.com:443"),
        ("HTTPS://example.com:443", "https://example.com", "example.com:443"),
        ("http://example.com:8080/", "http://example.com:8080", "example.com:8080"),
        ("http://example.com:080", "http://example.com", "example.com:80"),
        ("https://example.com.:80", "https://example.com.:80", "example.com:80"),
        ("https://bücher.example/", "https://xn--bcher-kva.example", "xn--bcher-kva.example:443"),
        ("http://[2001:DB8::1]:81/", "http://[2001:db8::1]:81", "[2001:db8::1]:81"),
        ("http://127.0.0.1:9000/{a}", "http://127.0.0.1:9000", "127.0.0.1:9000"),
    ],
)
def test_the_origin_has_one_spelling(uri: str, origin: str, host: str) -> None:
    """The origin of a URI has one spelling, by which bounds per host and the guard compare."""
    template = parse_template(uri)
    assert (template.origin, template.host_key) == (origin, host)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("", ("/",)),
        ("?a={b}", ("/?a=", "b", "")),
        ("/{a}{b}/c", ("/", "a", "", "b", "/c")),
        ("/{a}/{a}", ("/", "a", "/", "a", "")),
        ("/{a.b_1}{%41}", ("/", "a.b_1", "", "%41", "")),
        ("/şehir", ("/%C5%9Fehir",)),
        ("/a%2fb%C3", ("/a%2fb%C3",)),
        ('/"<>^`|', ("/%22%3C%3E%5E%60%7C",)),
        ("/a:@!$&'()*+,;=-._~[]", ("/a:@!$&'()*+,;=-._~[]",)),
        ("/a..b/.c/...", ("/a..b/.c/...",)),
        ("/a?b=../c?d", ("/a?b=../c?d",)),
    ],
)
def test_literals_are_encoded_and_variables_kept(target: str, parts: tuple[str, ...]) -> None:
    """Literals of a template are percent-encoded unless a URI may hold them (RFC 6570 section 3.1),
    and variables are kept.
    """
    assert parse_template(f"https://example.com{target}").parts == parts


@pytest.mark.parametrize(("target", "has_query"), [("/a", False), ("/{a}?", True), ("?a", True)])
def test_a_query_in_the_template_is_seen(target: str, has_query: bool) -> None:
    """A query in the template decides how parameters are appended."""
    assert parse_template(f"https://example.com{target}").has_query is has_query


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("example.com/x", "not an http or https"),
        ("ftp://example.com/", "not an http or https"),
        ("https:/example.com", "not an http or https"),
        ("//example.com", "not an http or https"),
        ("", "not an http or https"),
        ("{scheme}://example.com/", "not an http or https"),
        ("https://", "no valid host"),
        ("https:///x", "no valid host"),
        ("https://u:p@example.com/", "user name or password"),
        ("https://@example.com/", "user name or password"),
        ("https://{host}/", "a brace before its path"),
        ("https://example.com{path}", "a brace before its path"),
        ("https://example.com:{port}/", "a brace before its path"),
        ("https://example.com:/", "no valid host"),
        ("https://example.com:x/", "no valid host"),
        ("https://example.com:0/", "port out of range"),
        ("https://example.com:65536/", "port out of range"),
        ("https://example.com:٨٠/", "no valid host"),
        ("https://::1/", "no valid host"),
        ("https://[::1/", "no valid host"),
        ("https://[fe80::1%25eth0]/", "not an IPv6"),
        ("https://0x7f.1/", "unusual spelling"),
        ("https://exa%6dple.com/", "not a domain name"),
        ("https://example.com/a b", "a blank"),
        ("https://example.com/a\\b", "a backslash"),
        ("https://example.com\\@evil.example/", "a backslash"),
        ("https://example.com/\n", "a control character"),
        ("https://example.com/\x7f", "a control character"),
        ("https://example.com/#top", "fragment"),
        ("https://example.com#top", "fragment"),
        ("https://example.com/{a}#{b}", "fragment"),
        ("https://example.com/100%", "without two hex digits"),
        ("https://example.com/%zz", "without two hex digits"),
        ("https://example.com/{a", "without its partner"),
        ("https://example.com/a}", "without its partner"),
        ("https://example.com/{a{b}}", "without its partner"),
        ("https://example.com/{}", "not a plain name"),
        ("https://example.com/{+a}", "not a plain name"),
        ("https://example.com/{?a}", "not a plain name"),
        ("https://example.com/{#a}", "not a plain name"),
        ("https://example.com/{a,b}", "not a plain name"),
        ("https://example.com/{a*}", "not a plain name"),
        ("https://example.com/{a:3}", "not a plain name"),
        ("https://example.com/{a-b}", "not a plain name"),
        ("https://example.com/{.a}", "not a plain name"),
        ("https://example.com/{a..b}", "not a plain name"),
        ("https://example.com/{ş}", "not a plain name"),
        ("https://example.com/${env:KEY}", "refers to a secret"),
        ("https://example.com/a/../b", "segment"),
        ("https://example.com/.", "segment"),
        ("https://example.com/a/%2E%2e", "segment"),
        ("https://example.com/" + "a" * 8_192, "longer than 8192 bytes"),
        ("https://example.com/" + "{a}" * 101, "more than 100 braces"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(uri: str, message: str) -> None:
    """A URI that could be read in two ways is refused with one sentence that names the part, and a
    hint.
    """
    with pytest.raises(InvalidValue, match=message) as caught:
        parse_template(uri)
    assert caught.value.hint


def test_a_password_in_the_uri_is_not_repeated() -> None:
    """The refusal of a URI does not repeat a password in it."""
    with pytest.raises(InvalidValue) as caught:
        parse_template("https://user:canary@example.com/")
    assert "canary" not in caught.value.message + caught.value.hint
