"""The index answers as a look at every hook would."""

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.events.model import Event
from consumer.events.triggers import TRIGGERS
from consumer.hooks.table import Hook
from consumer.matching.store import make_index
from support.fakes import make_event, make_hook, make_table

SUBJECTS = ["a", "b", "c"]
APPS = [None, "shop", "bank"]
IDS = ["h1", "h2", "h3", "h4"]
ON = st.integers(0, 4).map(bool)  # mostly

HOOKS = st.lists(
    st.builds(
        make_hook,
        st.sampled_from(IDS),
        trigger=st.sampled_from(list(TRIGGERS)),
        select=st.none() | st.frozensets(st.sampled_from(SUBJECTS)),
        app=st.sampled_from(APPS),
        enabled=ON,
        needs_composed=st.booleans(),
    ),
    unique_by=lambda hook: hook.id,
)
VALUES = st.dictionaries(st.sampled_from(IDS), st.just({"x": 1}) | st.none())
NOTIFICATIONS = st.none() | st.fixed_dictionaries(
    {"id": st.sampled_from([*SUBJECTS, None])},
    optional={
        "hooks": VALUES,
        "hooks_disabled": st.booleans(),
        "buttons": st.dictionaries(
            st.sampled_from(["buy", "later"]),
            st.fixed_dictionaries({}, optional={"hooks": VALUES}),
        ),
    },
)
EVENTS = st.builds(
    make_event,
    st.fixed_dictionaries(
        {"id": st.just("e1"), "app": st.sampled_from(APPS), "notification": NOTIFICATIONS},
        optional={
            "data": st.fixed_dictionaries(
                {},
                optional={
                    "event_key": st.sampled_from(SUBJECTS),
                    "geofence_id": st.sampled_from(SUBJECTS),
                    "action_id": st.sampled_from(["buy", "later", "other"]),
                },
            )
        },
    ),
    st.sampled_from(list(TRIGGERS)),
)


def fires(hook: Hook, event: Event) -> bool:
    """The contract, read for one hook."""
    notification = event.document.get("notification") or {}
    data = event.document.get("data") or {}
    if not hook.enabled or hook.trigger != event.trigger or notification.get("hooks_disabled"):
        return False
    if hook.app not in {None, event.app}:
        return False
    clicks_or_logs = event.trigger in {"push_click", "message_log"}
    key = "geofence_id" if event.trigger == "geofence" else "event_key"
    subject = notification.get("id") if clicks_or_logs else data.get(key)
    if hook.select is not None and subject not in hook.select:
        return False
    button = notification.get("buttons", {}).get(data.get("action_id"), {})
    composed = button.get("hooks", notification.get("hooks", {}))
    return not hook.needs_composed or composed.get(hook.id) is not None


@settings(max_examples=500)  # they are cheap, and most pairs differ in their trigger already
@given(hooks=HOOKS, event=EVENTS)
def test_the_index_equals_a_naive_scan(hooks: list[Hook], event: Event) -> None:
    """The index finds each hook that fires once, and no other, as a scan of all hooks does."""
    found = [hook.id for hook in make_index(make_table(*hooks)).match(event)]
    assert sorted(found) == sorted(hook.id for hook in hooks if fires(hook, event))
