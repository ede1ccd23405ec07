"""What a trace shows of a URL: names, and no values."""

import pytest

from consumer.delivery.http.redacted_url import redacted_url, url_template
from support.fakes import make_hook, make_value

ORIGIN = "https://h.example"


@pytest.mark.parametrize(
    ("target", "template", "url"),
    [
        ("/h/a", "/h/a", "/h/a"),
        ("/u/{user}/x", "/u/{user}/x", "/u/REDACTED/x"),
        ("/a?key=s3cret&u={user}", "/a", "/a?key=REDACTED&u=REDACTED"),
        ("/a?s3cret", "/a", "/a?REDACTED"),
        ("/a?{user}=1", "/a", "/a?REDACTED=REDACTED"),
        ("/a?", "/a", "/a?"),
    ],
)
def test_values_are_redacted(target: str, template: str, url: str) -> None:
    """The template has the path with its variables in braces; the URL has no value of a variable
    and none of the query, fixed ones included.
    """
    hook = make_hook(uri=ORIGIN + target)
    assert url_template(hook) == template
    assert redacted_url(hook) == ORIGIN + url


@pytest.mark.parametrize(
    ("target", "url"), [("/a", "/a?key=REDACTED"), ("/a?b=c", "/a?b=REDACTED&key=REDACTED")]
)
def test_parameters_are_redacted(target: str, url: str) -> None:
    """Configured parameters are in the URL by their names only."""
    hook = make_hook(uri=ORIGIN + target, parameters=[("key", make_value("fixed", "s3cret"))])
    assert redacted_url(hook) == ORIGIN + url
