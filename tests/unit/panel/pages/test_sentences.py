"""Sentences of the services in the language of a page."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from consumer.errors import Diagnostic
from consumer.panel.pages.sentences import sentence, sentences, translate
from support.project import ROOT

COVERED = (
    "panel/pages/pages.py", "panel/pages/answers.py", "panel/pages/choices.py",
    "panel/pages/inputs.py", "panel/pages/deliveries_page.py", "panel/pages/delivery_page.py",
    "panel/pages/hook_actions.py", "panel/pages/hook_delete_page.py", "panel/pages/entrance.py",
    "panel/transfer.py", "services/broker_watch.py", "services/topic_view.py",
    "services/hook_reader.py", "services/reports.py", "services/hooks.py",
    "services/file_hooks.py", "journal/log_filter.py", "documents/durations.py",
    "documents/lines.py", "hooks/definition.py", "hooks/condition_form.py", "hooks/template.py",
    "hooks/texts.py",
)  # fmt: skip
"""Modules all of whose errors a page may show."""
_MADE_OF_PARTS = {
    "the event has no subject, and the hook selects {0}",
    "the event has the subject {0}, and the hook selects {1}",
    "the event has no app, and the hook is for {0}",
    "the event has the app {0}, and the hook is for {1}",
    "URI parameter {0} has no value",
    "parameter {0} has no value",
    "header {0} has no value",
}
"""Their patterns have a value for a part: the subject or the app, or the place of a value."""
_NAMED = re.compile(r"\{[a-z_]+\}")
"""The value of a sentence that is filled in by `str.format`."""


def _pattern(node: ast.AST) -> str | None:
    """A text of the source with `{0}`, `{1}` for its values; None: it is none."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            texts, count = "", 0
            for part in parts:
                if isinstance(part, ast.Constant):
                    texts += str(part.value)
                else:
                    texts, count = f"{texts}{{{count}}}", count + 1
            return texts
    return None


def _raised(tree: ast.AST) -> Iterator[str]:
    """The sentences in the arguments of errors."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if not name.endswith(
            ("Error", "Value", "Diagnostic", "Problem", "invalid_field", "refuse")
        ):
            continue
        for argument in (*node.args, *(one.value for one in node.keywords)):
            text = _pattern(argument)
            if text is not None and " " in text:
                yield text


@cache
def _written() -> frozenset[str]:
    """Every text of the sources."""
    trees = (ast.parse(file.read_text()) for file in (ROOT / "consumer").rglob("*.py"))
    texts = (_pattern(node) for tree in trees for node in ast.walk(tree))
    found = {text for text in texts if text is not None}
    return frozenset(found | {_NAMED.sub("{0}", text) for text in found})


def test_each_pattern_is_one_of_the_services() -> None:
    """A sentence that is reworded takes its translation with it: none is left behind."""
    assert sentences("tr").keys() - _written() - _MADE_OF_PARTS == set()


@pytest.mark.parametrize("module", COVERED)
def test_errors_of_a_page_are_translated(module: str) -> None:
    """A new error of these modules cannot come without its Turkish sentence."""
    tree = ast.parse((ROOT / "consumer" / module).read_text())
    assert {text for text in _raised(tree) if text not in sentences("tr")} == set()


def test_translations_have_the_values_of_their_patterns() -> None:
    """No value is lost or invented; a suggestion within a list may be left out."""
    for pattern, said in sentences("tr").items():
        values = set(re.findall(r"\{\d\}", pattern))
        assert set(re.findall(r"\{\d\}", said)) >= values - {"{1}"}, pattern
        assert set(re.findall(r"\{\d\}", said)) <= values, pattern


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no hook has the id shop", "shop kimliğinde bir webhook yok"),
        (
            str(Diagnostic("is not a header name", "take it out", "h.yaml", 3, "h", "headers[0]")),
            "h.yaml:3: hook h: headers[0]: bir başlık adı değil (çıkarın)",
        ),
        (
            "uri: has a fragment (use fewer); trigger: is not text (shorten it)",
            "uri: bir parçası (#) var (daha az kullanın); trigger: metin değil (kısaltın)",
        ),
        (
            ("no request: URI parameter a has no value; the delivery would go to the dead-letter "
             "topic as rejected"),
            ("istek yok: a URI parametresinin değeri yok; gönderim reddedilmiş olarak teslim "
             "edilemeyenlere giderdi"),
        ),
        (
            "no mapping of `any` passes: a is missing, and does not pass `equals: 1`; and 2 more",
            ("`any` altındaki hiçbir eşleme karşılanmıyor: "
             "a yok ve `equals: 1` koşulunu karşılamıyor; ve 2 tane daha"),
        ),
        ("the event has the subject a, b, and the hook selects c, d",
         "olayın konusu a, b, webhook ise şunları seçiyor: c, d"),
    ],
)  # fmt: skip
def test_a_sentence_is_found_by_its_pattern(text: str, said: str) -> None:
    """Values keep their place, also in a diagnostic with its location and hint."""
    assert translate(text, "tr") == said


def test_what_is_not_translated_is_marked_as_english() -> None:
    """A screen reader reads an English sentence as English; values come out as text."""
    assert sentence("a new <b> sentence", "tr") == (
        '<span lang="en">a new &lt;b&gt; sentence</span>'
    )
    assert sentence("no hook has the id <b>", "tr") == "&lt;b&gt; kimliğinde bir webhook yok"
    assert sentence("no hook has the id <b>", "en") == "no hook has the id &lt;b&gt;"
    assert translate("x" * 10_000 + " (hint)", "tr") is None
