"""Telling webhooks: at least once, in order, signed, and only where an address may be reached."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

import penstock
from penstock.errors import Corrupted, InvalidValue
from penstock.model.webhooks import Answer, DeliveryState, Target
from penstock.webhooks.addresses import Allowed, is_public
from penstock.webhooks.http_courier import HttpCourier
from tests.events.receiver import Receiver, dripping, receiving

KEY = "penstock-key-never-to-be-printed"
LOCAL = HttpCourier(Allowed.parse("127.0.0.0/8"), timeout_s=5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def told(client: penstock.Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> penstock.Client:
    """A client whose store has a webhook that goes to the receiver."""
    monkeypatch.setenv("TEAM_KEY", KEY)
    client.add_webhook("team", f"http://127.0.0.1:{receiver.port}/hook?a=b", secret="TEAM_KEY")
    return client


def open_runs(client: penstock.Client, *partitions: str) -> None:
    for partition in partitions:
        client.open_run("team/model", partition)


def test_every_entry_is_sent_once_in_order_and_signed(told: penstock.Client, receiver: Receiver) -> None:
    open_runs(told, "a", "b", "c")
    made = list(told.deliver_events(LOCAL))
    assert [one.state for one in made] == [DeliveryState.DELIVERED] * 3
    assert list(told.deliver_events(LOCAL)) == []
    entries = list(told.read_ledger(experiment="team/model"))
    assert receiver.ids == [entry.hash for entry in entries]
    headers, body = receiver.received[0]
    told_of = json.loads(body)
    assert (told_of["type"], told_of["chain"], told_of["sequence"]) == ("run_opened", "experiment:team/model", 1)
    assert told_of["id"] == headers["webhook-id"]
    # As a receiver checks it, after the specification.
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY.encode(), content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_a_refused_event_holds_back_its_chain_and_no_other(told: penstock.Client, receiver: Receiver) -> None:
    receiver.status = lambda number: 500 if number == 1 else 204
    open_runs(told, "a", "b")
    told.open_run("team/other", "a")
    made = [(str(one.chain), one.sequence, one.state.value, one.status) for one in told.deliver_events(LOCAL)]
    assert made == [
        ("experiment:team/model", 1, "failed", 500),
        ("experiment:team/other", 1, "delivered", 204),
    ]
    assert [(one.error, one.number) for one in told.list_deliveries("team")][-1] == ("500 Internal Server Error", 1)


def test_what_nobody_asked_for_is_not_sent_and_not_looked_at_again(
    client: penstock.Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_KEY", KEY)
    hook = f"http://127.0.0.1:{receiver.port}/"
    client.add_webhook("ends", hook, secret="TEAM_KEY", kinds=["run_ended"], chains=["experiment:team/model"])
    open_runs(client, "a")
    client.open_run("team/other", "a").close()
    assert list(client.deliver_events(LOCAL)) == []
    assert list(client.wiring.store.list_due("ends", 10)) == []
    client.open_run("team/model", "b").close()
    assert [one.sequence for one in client.deliver_events(LOCAL)] == [3]


def test_a_redirect_is_not_followed(told: penstock.Client, receiver: Receiver) -> None:
    receiver.status = 302
    open_runs(told, "a")
    (made,) = told.deliver_events(LOCAL)
    assert (made.state, made.status) == (DeliveryState.FAILED, 302)
    assert "redirects are not followed" in made.error
    assert len(receiver.received) == 1


def test_a_private_address_is_refused_when_connecting_and_nothing_is_sent(
    told: penstock.Client, receiver: Receiver
) -> None:
    open_runs(told, "a")
    (made,) = told.deliver_events(HttpCourier(Allowed()))
    assert (made.state, made.status) == (DeliveryState.FAILED, None)
    assert "127.0.0.1, not public" in made.error
    assert "PENSTOCK_WEBHOOK_HOSTS" in made.error
    assert receiver.received == []


def test_a_name_that_changes_its_meaning_is_judged_by_the_address_that_is_used(receiver: Receiver) -> None:
    answers = iter([[ip_address("127.0.0.1")], [ip_address("169.254.169.254")]])
    courier = HttpCourier(Allowed.parse("127.0.0.0/8"), timeout_s=5, resolve=lambda host, port: next(answers))
    target = Target.parse(f"http://rebinding.example:{receiver.port}/")
    assert courier.send(target, {}, b"first").accepted
    assert "169.254.169.254, not public" in courier.send(target, {}, b"second").error
    assert [body for _, body in receiver.received] == [b"first"]


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n"])
def test_a_target_that_drips_its_answer_is_given_up_at_the_deadline(begins: bytes) -> None:
    with dripping(begins) as port:
        started = time.monotonic()
        answer = HttpCourier(Allowed.parse("127.0.0.0/8"), timeout_s=0.5).send(
            Target.parse(f"http://127.0.0.1:{port}/"), {}, b"{}"
        )
    assert (answer.status, answer.error) == (None, "TimeoutError: timed out")
    assert 0.4 < time.monotonic() - started < 5


def test_the_next_address_is_tried_within_the_same_deadline_where_one_cannot_be_reached(receiver: Receiver) -> None:
    allowed, target = Allowed.parse("127.0.0.0/8"), Target.parse(f"http://hooks.example:{receiver.port}/")
    found = [ip_address("127.0.0.2"), ip_address("127.0.0.1")]  # nobody listens on the first
    assert HttpCourier(allowed, timeout_s=5, resolve=lambda host, port: found).send(target, {}, b"{}").accepted
    nowhere = HttpCourier(allowed, timeout_s=5, resolve=lambda host, port: found[:1]).send(target, {}, b"{}")
    assert nowhere.error.startswith("ConnectionRefusedError")


def test_plain_http_is_for_hosts_that_were_named() -> None:
    courier = HttpCourier(Allowed(), resolve=lambda host, port: [ip_address("93.184.216.34")])
    assert "unencrypted" in courier.send(Target.parse("http://example.org/"), {}, b"").error


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:0:0:0:0:0:1",
        "fec0::1", "3fff::1", "5f00::1", "64:ff9b:1::7f00:1", "192.88.99.1", "::ffff:192.88.99.1",
    ],
)  # fmt: skip
def test_an_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org/", "https://", "https://user:secret@example.org/", "https://a b/",
        "https://example.org/#part", "https://example.org\\@evil.org/", "https://exämple.org/", "file:///etc/passwd",
        "https://example.org:99999/", "https://example.org/\nhost: x", "javascript:alert(1)", "https://[::1/", 7,
        "https://a..example.org/", f"https://{'a' * 64}.example.org/", "https://-a.example.org/",
    ],
)  # fmt: skip
def test_a_target_that_is_not_a_plain_url_is_refused_without_repeating_a_password(
    client: penstock.Client, url: str
) -> None:
    with pytest.raises(InvalidValue, match="webhook target") as refused:
        client.add_webhook("team", url, secret="TEAM_KEY")
    assert "secret@" not in str(refused.value)
    assert client.list_webhooks() == []


def test_the_key_is_named_never_given(client: penstock.Client) -> None:
    with pytest.raises(InvalidValue, match="ENVIRONMENT_VARIABLE") as refused:
        client.add_webhook("team", "https://example.org/", secret=KEY)
    assert KEY not in str(refused.value)


def test_a_missing_key_is_said_after_the_others_have_been_told(
    told: penstock.Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.add_webhook("another", "https://example.org/", secret="NO_SUCH_KEY")
    open_runs(told, "a")
    with pytest.raises(InvalidValue, match=r"another \(NO_SUCH_KEY\)"):
        list(told.deliver_events(LOCAL))
    assert len(receiver.received) == 1


class Broken:
    """A courier with a fault of its own."""

    def send(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        raise RuntimeError("out of paper")


def test_a_webhook_that_cannot_be_sent_to_is_a_failed_try_and_stops_no_other(
    told: penstock.Client, receiver: Receiver
) -> None:
    told.add_webhook("a-bad-one", "https://bad.example/", secret="TEAM_KEY")
    with told.wiring.store._database.writing() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("UPDATE webhooks SET target = 'https://a..b/' WHERE name = 'a-bad-one'")
    open_runs(told, "a")
    made = [(one.webhook, one.state.value, one.error[:28]) for one in told.deliver_events(LOCAL)]
    assert made == [("a-bad-one", "failed", "InvalidValue: webhook target"), ("team", "delivered", "")]
    told.remove_webhook("a-bad-one")
    open_runs(told, "b")
    assert [one.error for one in told.deliver_events(Broken())] == ["RuntimeError: out of paper"]


def test_a_name_that_no_resolver_takes_is_an_answer() -> None:
    answer = HttpCourier(timeout_s=5).send(Target("https", "a..b.example", 443, "/"), {}, b"{}")
    assert answer.status is None
    assert "a..b.example cannot be looked up" in answer.error


def test_a_chain_that_has_lost_its_tail_ends_with_a_word_about_it_after_the_others_were_told(
    told: penstock.Client, receiver: Receiver
) -> None:
    open_runs(told, "a", "b")
    told.open_run("team/other", "a")
    with told.wiring.store._database.writing() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("DROP TRIGGER ledger_append_only_delete")
        connection.exec_driver_sql("DELETE FROM ledger WHERE chain_name = 'team/model' AND sequence = 2")
    with pytest.raises(Corrupted, match=r"experiment:team/model.*penstock verify"):
        list(told.deliver_events(LOCAL))
    assert len(receiver.received) == 2


def test_over_https_the_certificate_must_be_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    new = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hooks.example"]
    named = ["-addext", "subjectAltName=DNS:hooks.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *new, *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    allowed = Allowed.parse("hooks.example,other.example")
    with receiving(context) as receiver:
        courier = HttpCourier(allowed, resolve=lambda host, port: [ip_address("127.0.0.1")])
        assert courier.send(Target.parse(f"https://hooks.example:{receiver.port}/"), {}, b"{}").status == 204
        wrong = courier.send(Target.parse(f"https://other.example:{receiver.port}/"), {}, b"{}")
        assert wrong.status is None
        assert "certificate" in wrong.error
        assert receiver.received[0][0]["host"] == f"hooks.example:{receiver.port}"
        assert len(receiver.received) == 1


KILLED = """
import os, signal, sys, penstock
from penstock.webhooks.addresses import Allowed
from penstock.webhooks.http_courier import HttpCourier
class Deadly(HttpCourier):
    sent = 0
    def send(self, target, headers, body):
        if Deadly.sent == 2 and sys.argv[3] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = super().send(target, headers, body)
        Deadly.sent += 1
        if Deadly.sent == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
with penstock.connect(sys.argv[1], sys.argv[2]) as client:
    list(client.deliver_events(Deadly(Allowed.parse("127.0.0.0/8"))))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_deliverer_killed_around_a_request_loses_no_event_and_repeats_under_the_same_id(
    told: penstock.Client, receiver: Receiver, store_url: str, moment: str
) -> None:
    open_runs(told, "a", "b", "c", "d")
    command = [sys.executable, "-c", KILLED, store_url, told.artifact_location, moment]
    killed = subprocess.run(command, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert list(told.deliver_events(LOCAL)) == []  # the dead one's claim still runs
    (hook,) = told.list_webhooks()
    with told.wiring.store._database.writing() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("UPDATE webhooks SET claimed_until_ms = 0")
    list(told.deliver_events(LOCAL))
    expected = [entry.hash for entry in told.read_ledger(experiment="team/model")]
    assert list(dict.fromkeys(receiver.ids)) == expected
    assert len(receiver.ids) == len(expected) + (moment == "after")
    assert hook.name == "team"


def test_a_follower_misses_nothing_while_it_is_away_and_sees_again_what_it_did_not_confirm(
    client: penstock.Client,
) -> None:
    open_runs(client, "before")
    assert client.follow_events("watcher")[0] == []
    open_runs(client, "while away")
    first, cursor = client.follow_events("watcher")
    assert [event["sequence"] for event in first] == [2]
    assert client.follow_events("watcher")[0] == first
    client.seen_events("watcher", cursor)
    assert client.follow_events("watcher")[0] == []


def test_events_are_followed_by_a_cursor_of_plain_json(client: penstock.Client) -> None:
    open_runs(client, "a")
    before = json.loads(json.dumps(dict(client.event_cursor())))
    open_runs(client, "b")
    client.open_run("team/other", "a").close()
    found, after = client.events_after(before)
    assert [(event["chain"], event["type"]) for event in found] == [
        ("experiment:team/model", "run_opened"),
        ("experiment:team/other", "run_opened"),
        ("experiment:team/other", "run_ended"),
    ]
    assert client.events_after(after) == ([], after)
    assert [event["type"] for event in client.events_after(before, kinds=["run_ended"])[0]] == ["run_ended"]
    assert client.events_after(None, model="no-such-model")[0] == []
    assert len(client.events_after(None)[0]) == 4


def test_a_name_that_is_looked_up_for_ever_is_given_up_at_the_deadline_and_looked_up_once() -> None:
    asked, go_on = [], threading.Event()

    def hanging(host: str, _port: int) -> list[IPv4Address | IPv6Address]:
        asked.append(host)
        go_on.wait(30)
        return []

    courier = HttpCourier(timeout_s=0.2, resolve=hanging)
    target, started = Target("https", "hooks.example", 443, "/"), time.monotonic()
    answers = [courier.send(target, {}, b"{}") for _ in range(2)]
    assert time.monotonic() - started < 5
    assert {answer.error for answer in answers} == {"hooks.example: its address was not found within 0.2 s"}
    assert asked == ["hooks.example"]
    go_on.set()
