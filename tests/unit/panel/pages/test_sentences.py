"""Sentences of the services in the language of a page."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from consumer.delivery.egress.guard import EgressPolicy, OwnEndpoint
from consumer.delivery.egress.special_addresses import IPV4_BLOCKS, IPV6_BLOCKS
from consumer.errors import Diagnostic
from consumer.panel.pages.sentences import sentence, sentences, translate
from support.project import ROOT

UNSHOWN = {
    "of the start of a process, or of a command": (
        "configuration", "panel.panel", "panel.gate", "settings.", "stream.topic_watch",
        "stream.bootstrap", "services.sealing",
    ),
    "of the API alone": ("panel.api_", "panel.models", "panel.problems"),
    "of records, which are counted or left out": (
        "control.audit_log", "control.status", "journal.record", "records.", "registry.",
        "stream.decompression", "stream.odd_records", "stream.parsed_records",
        "stream.record_batches", "stream.record_fields",
    ),
    "of requests to Kafka that are made again": (
        "stream.cluster_client", "stream.outbox", "stream.producer", "stream.tasks",
    ),
}  # fmt: skip
"""Modules, by the beginnings of their names, none of whose errors a page shows."""
_APART = {"hook {0}: {1} ({2})", "no server: {0}"}
"""An error whose parts are looked up one by one, and one of the settings."""
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
            ("Error", "Value", "Diagnostic", "Problem", "invalid_field", "refuse", "AttemptResult")
        ):
            continue
        for argument in (*node.args, *(one.value for one in node.keywords)):
            text = _pattern(argument)
            if text is not None and " " in text:
                yield text


def _shown_modules() -> list[str]:
    """Each module that a panel has, but for those whose errors no page shows."""
    code = "import sys, consumer.panel.panel; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    found = (one.split(".", 1) for one in done.stdout.decode().split())
    names = [one[1] for one in found if one[0] == "consumer" and len(one) > 1]
    unshown = tuple(chain.from_iterable(UNSHOWN.values()))
    return sorted(name for name in names if not name.startswith(unshown))


def _file(module: str) -> Path:
    path = ROOT / "consumer" / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


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


def test_errors_of_a_page_are_translated() -> None:
    """A new error of any module that a panel has cannot come without its Turkish sentence, unless
    it is said that no page shows it.
    """
    known = sentences("tr").keys() | _APART
    missing = {
        (module, text)
        for module in _shown_modules()
        for text in _raised(ast.parse(_file(module).read_text()))
        if text not in known
    }
    assert missing == set()


def test_each_reason_of_the_guard_is_translated() -> None:
    """Whatever address is refused, a Turkish reader is told why in Turkish."""
    own = OwnEndpoint.of("127.0.0.1:8460", "hookstream's own panel")
    policy = EgressPolicy.of(deny=["203.0.113.0/24", "evil.example"], own=[own])
    addresses = [str(one.network[0]) for one in (*IPV4_BLOCKS, *IPV6_BLOCKS)]
    reasons = [policy.judge(one, 443, "a.example") for one in (*addresses, "4000::1", "x")]
    reasons += [
        policy.judge("127.0.0.1", 8460, "a.example"), policy.judge("8.8.8.8", 443, "evil.example"),
    ]  # fmt: skip
    assert [one for one in reasons if one is None or translate(one, "tr") is None] == []


def test_a_sentence_within_another_is_translated_or_quoted() -> None:
    """A reason of the guard within a problem is in Turkish; a text of the system is quoted as
    English within a Turkish sentence; a sentence that only looks like a reason is no reason.
    """
    assert "özel bir adres: geri döngü" in str(
        translate("no request may go there: 127.0.0.1 is loopback (RFC 1122)", "tr")
    )
    assert translate("lookup failed: Name or <service> not known", "tr") == (
        'ad çözümlenemedi: <q lang="en">Name or &lt;service&gt; not known</q>'
    )
    assert translate("lookup failed: the name has no address", "tr") == (
        "ad çözümlenemedi: bu adın adresi yok"
    )
    assert translate("the moon is far away (look up)", "tr") is None


def test_translations_have_the_values_of_their_patterns() -> None:
    """No value is lost or invented; a suggestion within a list may be left out."""
    for pattern, said in sentences("tr").items():
        values, used = (set(re.findall(r"\{(\d)", text)) for text in (pattern, said))
        assert values - {"1"} <= used <= values, pattern


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


def test_what_is_not_translated_is_quoted_as_english() -> None:
    """A text from outside is quoted, and read as English by a screen reader; values come out as
    text.
    """
    assert sentence("a new <b> sentence", "tr") == '<q lang="en">a new &lt;b&gt; sentence</q>'
    assert sentence("no hook has the id <b>", "tr") == "&lt;b&gt; kimliğinde bir webhook yok"
    assert sentence("no hook has the id <b>", "en") == "no hook has the id &lt;b&gt;"
    assert translate("x" * 10_000 + " (hint)", "tr") is None
