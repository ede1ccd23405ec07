"""Events of some 500 bytes (docs/reference/events.md)."""

import time

SPRING = "spring-sale"
"""The subject that the measured hook selects."""
UNWANTED = "no-hook-wants-this"
"""A subject that no hook selects."""
HUNG = "hung"
"""The subject of the hook whose endpoint never answers."""


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def event(number: int, subject: str = SPRING, *, at: int = 0, fails: bool = False) -> bytes:
    """Event `number` of a run, which occurred `at` (milliseconds since the epoch; 0: now).

    The receiver gets number and time in the query, and answers 503 if the event `fails`.
    """
    fail = ',"fail":1' if fails else ""
    return (
        f'{{"id":"01JD{number:022d}","occurred_at":{at or now()},"app":"shop",'
        f'"user":{{"id":"u{number % 10_000}","attributes":{{"city":"İstanbul","language":"tr",'
        '"externalSegments":["gold","vip"],"orders":17}},'
        f'"device":{{"id":"d{number % 10_000}","attributes":{{"platform":"IOS","mdl":"iPhone17,2",'
        '"appV":"5.4.1","lang":"tr","tzid":"Europe/Istanbul"}},'
        f'"notification":{{"id":"{subject}","hooks":{{"analytics":{{"campaign":"spring 26"}}}}}},'
        f'"data":{{"action_id":"buy","deeplink":"shop://sale","n":{number}{fail}}}}}'
    ).encode()
