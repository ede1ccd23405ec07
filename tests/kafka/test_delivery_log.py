"""The delivery log and the reports of a daemon in normal operation."""

import signal
from collections import Counter
from pathlib import Path

import orjson

from consumer.journal.records import Followed, hash_user, user_key
from support.cluster import Cluster
from support.daemon import Daemon
from support.received import parse
from support.receiver import Receiver, Reply, response
from support.secure_broker import SecureBroker
from support.waiting import wait_until
from support.workspace import Workspace, event, hook
from support.written_log import read_log, read_reports, recounted, summed

EVERYTHING = {"failures": True, "successes": 1.0}


def _status(head: bytes) -> int:
    """The receiver fails for some events: by what their ids say."""
    if b"webhook-id: gone" in head:
        return 404
    return 503 if b"webhook-id: later" in head else 200


async def test_the_log_is_the_receivers_own_list(workspace: Workspace) -> None:
    """With everything logged, the delivery log has each request that the receiver got, with its
    answer and what followed; and the reports equal a recount of it.
    """
    await workspace.create_topics()
    answered: list[tuple[str, int]] = []

    def answer(head: bytes) -> Reply:
        status, name = _status(head), parse(head).webhook_id
        if (name, 503) in answered:
            status = 200
        answered.append((name, status))
        return response(status)

    async with Receiver(otherwise=answer) as receiver:
        workspace.write_settings(delivery_log=EVERYTHING)
        workspace.write_hooks(hook("a", receiver.origin), hook("b", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            names = [*(f"ok{n}" for n in range(50)), "gone1", "gone2", "later1", "later2"]
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
            assert daemon.complaints == []
            assert not daemon.said("records of the delivery log were dropped")
    log = [record for _, record in await read_log(workspace)]
    assert Counter((r.delivery, r.status) for r in log) == Counter(answered)
    followed = {(r.delivery.partition(":")[0][:4], r.status, r.outcome) for r in log}
    assert {one for one in followed if one[0] in {"gone", "late"}} == {
        ("gone", 404, Followed.DEAD_LETTER),
        ("late", 503, Followed.RETRY),
        ("late", 200, Followed.DELIVERED),
    }
    assert summed(await read_reports(workspace)) == recounted(log)


async def test_no_user_data_value_or_secret_is_in_either_topic(workspace: Workspace) -> None:
    """No attribute, URI value, header value, parameter, secret or answer is in any record of the
    log and of the reports, whatever happens to the deliveries.
    """
    await workspace.create_topics()

    def answer(head: bytes) -> Reply:
        statuses = {b"gone": 404, b"later": 503, b"odd": 599}
        name = next((name for name in statuses if b"webhook-id: " + name in head), b"")
        return response(statuses.get(name, 200), "X-Echo: canary-answer", body=b"canary-body")

    async with Receiver(otherwise=answer) as receiver:
        workspace.write_settings(
            delivery_log={**EVERYTHING, "user_key": "canary-user-key"},
            hooks={"secrets": ["CANARY_*"]},
            retry={"max_attempts": 2},
        )
        profile = {"source": "profile", "value": "name"}
        workspace.write_hooks(
            hook(
                "a",
                receiver.origin,
                "/{part}",
                uri_parameters={"part": {"label": "Part", "default": "canary-default"}},
                headers=[
                    {"key": "X-Key", "source": "fixed", "value": "${env:CANARY_KEY}"},
                    {"key": "X-Name", **profile},
                ],
                parameters=[{"key": "name", **profile}],
            ),
            hook("b", receiver.origin, headers=[{"key": "X", **profile, "missing": "reject"}]),
            hook("c", "http://127.0.0.1:1/canary-path"),
        )
        async with Daemon(workspace.config, {"CANARY_KEY": "canary-secret"}) as daemon:
            user = {"id": "canary-user", "attributes": {"name": "canary-name"}}
            composed = {"hooks": {"a": {"part": "canary-part"}}}
            events = [
                orjson.dumps(
                    {"id": name, "user": its, "notification": composed, "data": {"x": "canary"}}
                )
                for name in ("ok", "gone", "later", "odd")
                for its in (user, {"id": "canary-user"})
            ]
            await workspace.cluster.produce(workspace.topic("event"), events, key=b"canary-key")
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
    log, reports = [await workspace.cluster.read(topic) for topic in workspace.log_topics]
    assert len(log) > 24
    assert reports
    for record in (*log, *reports):
        assert b"canary" not in (record.key or b"") + (record.value or b"")
        assert not record.headers
    users = {record.user for _, record in await read_log(workspace)}
    assert users == {hash_user(user_key("canary-user-key", "", ""), "canary-user")}


async def test_a_daemon_with_the_rights_of_the_page_writes_transactions(
    secure_broker: SecureBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """With the rights that docs/security.md grants for the log a daemon creates both topics and
    writes them in transactions; without those on transactional ids it writes them plainly, and says
    so in one line; without any right it runs, says so, and counts what it drops.
    """
    workspace = Workspace(tmp_path, Cluster(secure_broker.bootstrap), topic_prefix)
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.create_topics(partitions=1)
    await workspace.create_own_topics(partitions=1)
    user = f"{workspace.prefix}-user"
    await secure_broker.add_user(user, "SCRAM-SHA-256")
    own = {topic: ["READ"], workspace.dead_letter_topic: ["WRITE"]}
    queues = [*workspace.retry_topics, workspace.overflow_topic]
    own |= {name: ["READ", "WRITE"] for name in queues}
    await secure_broker.allow(user, own, group=workspace.group)
    workspace.write_settings(
        kafka=secure_broker.login("SASL", "SCRAM-SHA-256", user), delivery_log=EVERYTHING
    )
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))

        async def run(name: str, *expected: str) -> Daemon:
            async def logged() -> bool:
                log = [record.event for _, record in await read_log(workspace)]
                return log == list(expected)

            async with Daemon(workspace.config) as daemon:
                await workspace.cluster.produce(topic, [event(name)])
                await wait_until(workspace.caught_up, "all to be settled")
                if expected:
                    await wait_until(logged, "the log")
                assert await daemon.stop() == 0
            assert daemon.complaints == []
            return daemon

        without = await run("e1")
        assert len(receiver.requests) == 1
        assert len(without.said("nothing can be written to a topic")) == 2
        assert without.said("records of the delivery log were dropped")[0]["dropped"] == 1
        operations = ["CREATE", "DESCRIBE_CONFIGS", "WRITE"]
        await secure_broker.allow(user, dict.fromkeys(workspace.log_topics, operations))
        plain = await run("e2", "e2")
        said = "the delivery log and the reports are written without transactions"
        assert [line for line in plain.events if line.startswith(said)]
        await secure_broker.allow(
            user, {}, transactions_below={f"{topic_prefix}.journal.": ["DESCRIBE", "WRITE"]}
        )
        whole = await run("e3", "e2", "e3")
        assert not [line for line in whole.events if line.startswith(said)]
    log = await read_log(workspace)
    assert summed(await read_reports(workspace)) == recounted(record for _, record in log)
    await workspace.remove_topics()


async def test_a_log_that_is_off_has_no_topics(workspace: Workspace) -> None:
    """Without failures and successes nothing is logged, and the topics are not created; to switch
    the log on takes a restart, and a reload says so.
    """
    await workspace.create_topics()
    async with Receiver() as receiver:
        workspace.write_settings(delivery_log={"failures": False, "successes": 0.0})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
            await wait_until(workspace.caught_up, "all to be settled")
            workspace.write_settings(delivery_log=EVERYTHING)
            daemon.signal(signal.SIGHUP)
            refused = "reload refused; the old settings and hooks stay"
            await wait_until(lambda: daemon.said(refused), "the reload")
            assert "delivery_log.is_on" in daemon.said(refused)[0]["problems"][0]
            assert await daemon.stop() == 0
    async with workspace.cluster.admin() as admin:
        assert not set(workspace.log_topics) & set(await admin.list_topics())


async def test_a_reload_changes_what_is_logged(workspace: Workspace) -> None:
    """A reload changes the share of successes that is logged and the key of the users' hashes."""
    await workspace.create_topics()
    topic = workspace.topic("event")
    by_user = [orjson.dumps({"id": name, "user": {"id": "u"}}) for name in ("e1", "e2")]
    async with Receiver() as receiver:
        workspace.write_settings(delivery_log={"successes": 0.0})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(topic, by_user[:1])
            await wait_until(workspace.caught_up, "the first to be settled")
            workspace.write_settings(delivery_log={"successes": 1.0, "user_key": "new"})
            daemon.signal(signal.SIGHUP)
            await wait_until(lambda: daemon.said("hooks and settings reloaded"), "the reload")
            await workspace.cluster.produce(topic, by_user[1:])
            await wait_until(workspace.caught_up, "the second to be settled")
            assert await daemon.stop() == 0
    [(_, record)] = await read_log(workspace)
    assert (record.event, record.user) == ("e2", hash_user(user_key("new", "", ""), "u"))
    [report] = await read_reports(workspace)
    assert report.delivered == 2
