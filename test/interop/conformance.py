"""The conformance list: what any client of coterie may rely on, asked of three live nodes.

usage: conformance.py URL URL URL     (nodes n1, n2, n3)

One JSON line per check and per recorded frame on stdout. A line {"do": …, "node": …} asks whoever
started this to stop, kill or start a node; the answer is one line on stdin.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
import traceback

import cbor2

from coterie import (
    APPLIED, CANCEL, DONE, FAILED, GET, GET_MANY, GOING_AWAY, HELLO, KEYS, PING, PONG, PUT, PUT_MANY,
    REPAIR, REPLICA_GET, REPLICA_IS, RING, RING_CHANGED, RING_IS, SCAN, STATUS, STATUS_IS, VALUE,
    WELCOME, Client, Failed, Put, answered,
)

URLS = sys.argv[1:]
CHECKS = []
RECORDED_BYTES_MAX = 16 * 1024


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def record(frame, sender):
    if len(frame) <= RECORDED_BYTES_MAX:
        say({"frame": frame.hex(), "from": sender})


async def host(action, node):
    """Has a node stopped (SIGTERM), killed, or started again and found by the others."""
    say({"do": action, "node": node})
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    assert line.strip() == "done", line


def check(function):
    CHECKS.append(function)
    return function


def connect(node=0):
    return Client.connect(URLS[node], record)


def fresh(name):
    return f"{name}:{os.urandom(4).hex()}".encode()


async def failure(awaitable, code, outcome=None, retryable=None):
    try:
        answer = await awaitable
    except Failed as failed:
        assert failed.code == code, f"expected {code}, found {failed}"
        assert isinstance(failed.message, str) and failed.message != ""
        if outcome is not None:
            assert failed.outcome == outcome, f"expected {outcome}, found {failed}"
        if retryable is not None:
            assert failed.retryable is retryable, str(failed)
        return failed
    raise AssertionError(f"expected {code}, found {answer!r}")


@check
async def hello_is_answered_with_welcome():
    db = await connect()
    op, _, version, node, cluster, limits, ring, options = db.welcome
    assert (op, version, node) == (WELCOME, 1, "n1") and cluster != ""
    assert limits["keyBytesMax"] == 1024 and limits["valueBytesMax"] == 1024 * 1024
    assert limits["contextBytesMax"] == 8192 and limits["inFlightMax"] >= 1
    # Others are learnt of by gossip: at first a node may know its own address only.
    assert ring >= 1 and URLS[0] in options["addresses"], (ring, options)
    assert set(options["addresses"]) <= set(URLS), options
    await db.close()


@check
async def hello_comes_first_and_once():
    db = await Client.open(URLS[0], record)
    await failure(db.ask(GET, b"k", {}), "BAD_ARGUMENT", "refused", False)
    await db.ask(HELLO, 1, 7, "newer", {"token": "not needed here"})
    await failure(db.ask(HELLO, 1, 1, "again", {}), "BAD_ARGUMENT")
    assert (await db.get(fresh("hello")))[0] == "never-seen"
    await db.close()


@check
async def a_version_nobody_speaks_is_refused():
    db = await Client.open(URLS[0], record)
    failed = await failure(db.ask(HELLO, 2, 9, "future", {}), "UNSUPPORTED_VERSION")
    assert (failed.details["versionMin"], failed.details["versionMax"]) == (1, 1)
    await db.ask(HELLO, 1, 2, "present", {})
    await db.close()


@check
async def silence_after_connecting_is_closed_with_4408():
    db = await Client.open(URLS[0], record)
    began = time.monotonic()
    assert await db.close_code() == 4408
    assert time.monotonic() - began > 4


@check
async def a_value_is_returned_byte_for_byte_by_every_node():
    key, value = fresh("bytes"), bytes(range(256)) * 4
    first = await connect()
    acks, durable, context = await first.put(Put(key, value), w=3, dw=1)
    assert sorted(acks) == ["n1", "n2", "n3"] and len(durable) >= 1 and set(durable) <= set(acks)
    assert 0 < len(context) <= 8192
    for node in range(3):
        db = await connect(node)
        state, values, _ = await db.get(key, r=1 if node == 0 else 2)
        assert (state, values) == ("found", [value])
        await db.close()
    await first.close()


@check
async def an_empty_value_is_a_value():
    db, key = await connect(), fresh("empty")
    await db.put(Put(key, b""))
    assert (await db.get(key))[:2] == ("found", [b""])
    await db.close()


@check
async def a_key_nobody_wrote_was_never_seen():
    db = await connect()
    state, values, context = await db.get(fresh("nothing"))
    assert (state, values) == ("never-seen", []) and isinstance(context, bytes)
    await db.close()


@check
async def blind_puts_are_siblings_and_a_context_replaces_what_it_saw():
    one, two, key = await connect(0), await connect(1), fresh("cart")
    await one.put(Put(key, b"milk"))
    await two.put(Put(key, b"eggs"))
    state, values, context = await one.get(key)
    assert state == "found" and sorted(values) == [b"eggs", b"milk"]
    await two.put(Put(key, b"milk, eggs", [context]))
    assert (await one.get(key))[1] == [b"milk, eggs"]
    await one.close()
    await two.close()


@check
async def two_who_read_the_same_and_write_make_two_siblings():
    one, two, key = await connect(0), await connect(2), fresh("race")
    await one.put(Put(key, b"base"))
    seen_by_one = (await one.get(key))[2]
    seen_by_two = (await two.get(key))[2]
    await one.put(Put(key, b"a", [seen_by_one]))
    await two.put(Put(key, b"b", [seen_by_two]))
    assert sorted((await one.get(key))[1]) == [b"a", b"b"]
    await one.close()
    await two.close()


@check
async def the_context_of_a_put_covers_that_put_and_nothing_unseen():
    one, two, key = await connect(0), await connect(1), fresh("chain")
    mine = (await one.put(Put(key, b"mine")))[2]
    await two.put(Put(key, b"other"))
    await one.put(Put(key, b"mine, newer", [mine]))
    assert sorted((await one.get(key))[1]) == [b"mine, newer", b"other"]
    await one.close()
    await two.close()


@check
async def several_contexts_replace_what_each_has_seen():
    db, key = await connect(), fresh("several")
    first = (await db.put(Put(key, b"1")))[2]
    second = (await db.put(Put(key, b"2")))[2]
    await db.put(Put(key, b"both", [first, second]))
    assert (await db.get(key))[1] == [b"both"]
    await db.close()


@check
async def a_delete_leaves_deleted_and_its_context_starts_anew():
    db, key = await connect(), fresh("gone")
    await db.put(Put(key, b"value"))
    seen = (await db.get(key))[2]
    await db.put(Put(key, None, [seen]))
    state, values, context = await db.get(key)
    assert (state, values) == ("deleted", [])
    await db.put(Put(key, b"new", [context]))
    assert (await db.get(key))[:2] == ("found", [b"new"])
    await db.close()


@check
async def a_delete_does_not_take_what_it_had_not_seen():
    one, two, key = await connect(0), await connect(1), fresh("kept")
    await one.put(Put(key, b"old"))
    seen = (await one.get(key))[2]
    await two.put(Put(key, b"unseen"))
    await one.put(Put(key, None, [seen]))
    assert (await one.get(key))[:2] == ("found", [b"unseen"])
    await one.close()
    await two.close()


@check
async def a_retry_with_the_same_put_id_through_any_node_makes_no_sibling():
    nodes, key = [await connect(node) for node in range(3)], fresh("retry")
    put = Put(key, b"once")
    for db in nodes:
        await db.put(put)
    assert put.attempt == 3
    for db in nodes:
        assert (await db.get(key, r=3))[1] == [b"once"]
        await db.close()


@check
async def a_retry_that_comes_after_an_overwrite_changes_nothing():
    one, two, key = await connect(0), await connect(1), fresh("late")
    put = Put(key, b"first")
    await one.put(put, w=3)
    seen = (await one.get(key, r=3))[2]
    await two.put(Put(key, b"second", [seen]), w=3)
    await one.put(put)
    assert (await one.get(key, r=3))[1] == [b"second"]
    await one.close()
    await two.close()


@check
async def a_put_id_used_for_another_value_is_refused():
    db, key = await connect(), fresh("reused")
    put = Put(key, b"bytes")
    await db.put(put, w=3)
    put.value = b"other bytes"
    await failure(db.put(put), "PUT_ID_REUSED", "refused", False)
    assert (await db.get(key))[1] == [b"bytes"]
    await db.close()


@check
async def clocks_far_off_are_refused():
    db, now = await connect(), int(time.time() * 1000)
    old = Put(fresh("old"), b"v", written_at=now - 3_600_000)
    old.attempt = 1
    await failure(db.put(old), "RETRY_TOO_OLD", "unknown", False)
    ahead = Put(fresh("ahead"), b"v", written_at=now + 2 * 3_600_000)
    await failure(db.put(ahead), "BAD_TIMESTAMP", "refused", False)
    await db.close()


@check
async def last_write_wins_keeps_the_newest_by_the_writers_clocks():
    db, key, now = await connect(), fresh("lww"), int(time.time() * 1000)
    await db.put(Put(key, b"newer", written_at=now), lww=True, w=3)
    await db.put(Put(key, b"newest", written_at=now + 5), lww=True, w=3)
    assert (await db.get(key))[1] == [b"newest"]
    await db.close()


@check
async def a_reader_may_ask_for_the_newest_sibling_only():
    db, key, now = await connect(), fresh("newest"), int(time.time() * 1000)
    await db.put(Put(key, b"old", written_at=now - 5))
    await db.put(Put(key, b"new", written_at=now))
    assert (await db.get(key, lww=True))[1] == [b"new"]
    assert len((await db.get(key, lww=False))[1]) == 2
    await db.close()


@check
async def a_condition_refuses_for_what_is_there_and_only_then():
    one, two, key = await connect(0), await connect(1), fresh("condition")
    first = Put(key, b"first")
    await one.put(first, ifAbsent=True)
    await failure(two.put(Put(key, b"second"), ifAbsent=True), "CONDITION_NOT_MET", "refused", False)
    await two.put(first, ifAbsent=True)
    seen = (await one.get(key))[2]
    await two.put(Put(key, b"unseen"))
    stale = Put(key, b"third", [seen])
    await failure(one.put(stale, ifContext=True), "CONDITION_NOT_MET", "refused", False)
    await one.put(Put(key, b"third", [(await one.get(key))[2]]), ifContext=True)
    assert (await two.get(key))[1] == [b"third"]
    await one.close()
    await two.close()


@check
async def a_value_is_gone_when_it_expires():
    db, key, now = await connect(), fresh("mortal"), int(time.time() * 1000)
    await db.put(Put(key, b"for a second"), expires=now + 1000)
    assert (await db.get(key))[0] == "found"
    while int(time.time() * 1000) <= now + 1000:
        await asyncio.sleep(0.02)
    for node in range(3):
        reader = await connect(node)
        assert (await reader.get(key))[:2] == ("deleted", [])
        await reader.close()
    await db.put(Put(fresh("immortal"), b"v"), expires=0)
    await db.close()


@check
async def wrong_requests_are_refused_by_name_and_the_connection_lives_on():
    db, key, put_id = await connect(), fresh("wrong"), bytes(8)
    put = lambda options: (PUT, key, b"v", [], put_id, 1_760_000_000_000, 1, options)
    for code, request in [
        ("UNKNOWN_OP", (15,)),
        ("UNKNOWN_OP", (VALUE, key)),
        ("KEY_EMPTY", (GET, b"", {})),
        ("KEY_EMPTY", (GET_MANY, [b"k", b""], {})),
        ("BAD_ARGUMENT", (GET_MANY, [b"k"] * 129, {})),
        ("BAD_ARGUMENT", (PUT_MANY, [], {})),
        ("BAD_ARGUMENT", (SCAN, 2**20, None, {})),
        ("BAD_ARGUMENT", (SCAN, 0, None, {"limit": 0})),
        ("KEY_TOO_LONG", (GET, bytes(1025), {})),
        ("BAD_ARGUMENT", (GET, "text", {})),
        ("BAD_ARGUMENT", (GET, key, [])),
        ("BAD_ARGUMENT", (GET, key, {"strict": 1})),
        ("BAD_QUORUM", (GET, key, {"r": 0})),
        ("BAD_QUORUM", (GET, key, {"r": 4})),
        ("BAD_QUORUM", (GET, key, {"r": 1.5})),
        ("BAD_QUORUM", (GET, key, {"r": "2"})),
        ("BAD_QUORUM", put({"w": 0})),
        ("BAD_QUORUM", put({"w": -1})),
        ("BAD_QUORUM", put({"w": 4})),
        ("BAD_QUORUM", put({"dw": 4})),
        ("BAD_QUORUM", put({"strict": True, "w": 2, "dw": 1})),
        ("BAD_TIMEOUT", (GET, key, {"timeout": 0})),
        ("BAD_TIMEOUT", (GET, key, {"timeout": -5})),
        ("BAD_TIMEOUT", (GET, key, {"timeout": float("inf")})),
        ("BAD_TIMEOUT", (GET, key, {"timeout": 600_001})),
        ("BAD_ARGUMENT", (PUT, key)),
        ("BAD_ARGUMENT", (PUT, key, "text", [], put_id, 1, 1, {})),
        ("BAD_ARGUMENT", (PUT, key, b"v", [b"c"] * 17, put_id, 1, 1, {})),
        ("BAD_ARGUMENT", (PUT, key, b"v", [], bytes(7), 1, 1, {})),
        ("BAD_ARGUMENT", (PUT, key, b"v", [], put_id, -1, 1, {})),
        ("BAD_ARGUMENT", (PUT, key, b"v", [], put_id, 1, 0, {})),
        ("BAD_ARGUMENT", put({"ifAbsent": True, "lww": True})),
        ("BAD_ARGUMENT", put({"ifContext": True})),
        ("BAD_ARGUMENT", put({"expires": "tomorrow"})),
        ("BAD_CONTEXT", (PUT, key, b"v", [bytes(8193)], put_id, 1, 1, {})),
        ("BAD_CONTEXT", (PUT, key, b"v", [os.urandom(40)], put_id, 1, 1, {})),
    ]:
        request_id = db.next_id()
        future = asyncio.get_running_loop().create_future()
        db.waiting[request_id] = future
        op, *fields = request
        # Wrong on purpose: not recorded as frames of the protocol.
        await db.ws.send(cbor2.dumps([op, request_id, *fields]))
        try:
            answered(await asyncio.wait_for(future, 20))
        except Failed as failed:
            assert failed.code == code, f"{request}: expected {code}, found {failed}"
            assert (failed.outcome, failed.retryable) == ("refused", False), str(failed)
        else:
            raise AssertionError(f"{request} was accepted")
    assert (await db.get(key))[0] == "never-seen"
    await db.close()


@check
async def contexts_belong_to_their_key_and_stand_no_change():
    db, key = await connect(), fresh("context")
    context = (await db.put(Put(key, b"v")))[2]
    other = Put(fresh("other"), b"v", [context])
    await failure(db.put(other), "CONTEXT_KEY_MISMATCH", "refused", False)
    altered = bytearray(context)
    altered[len(altered) // 2] ^= 1
    await failure(db.put(Put(key, b"w", [bytes(altered)])), "BAD_CONTEXT", "refused", False)
    assert (await db.get(key))[1] == [b"v"]
    await db.close()


@check
async def malformed_cbor_is_refused_with_the_offset():
    db = await connect()
    for frame, offset in [
        (b"", 0),
        (bytes.fromhex("820202ff"), 3),
        (bytes.fromhex("8402"), 0),
        (bytes.fromhex("8202c100"), 2),
        (bytes.fromhex("9f0202ff"), 0),
        (bytes.fromhex("830261ff"), 2),
        (bytes.fromhex("83020ba2617201617201"), 7),
        (bytes.fromhex("82025bffffffffffffffff"), 2),
        (b"\x81" * 100 + b"\x00", None),
    ]:
        failed = Failed(await db.ask_raw(frame))
        assert (failed.id, failed.code) == (0, "BAD_FRAME"), (frame, str(failed))
        if offset is not None:
            assert failed.details["offset"] == offset, (frame.hex(), failed.details)
    for bad_id in (0, -1, 2**32, "1", None):
        failed = Failed(await db.ask_raw(cbor2.dumps([GET, bad_id, b"k", {}])))
        assert (failed.id, failed.code) == (0, "BAD_REQUEST_ID"), str(failed)
    assert (await db.ask(PING, {}))[0] == PONG
    await db.close()


@check
async def what_is_no_binary_message_of_bounded_size_closes_the_connection():
    db = await connect()
    await db.ws.send("text")
    assert await db.close_code() == 1003
    db = await connect()
    await db.ws.send(bytes(8 * 1024 * 1024))
    assert await db.close_code() == 1009
    db = await connect()
    await db.ws.send(cbor2.dumps([[0, 1, "cluster", "n1", "0123456789abcdef"]]))
    assert await db.close_code() == 4403


@check
async def keys_and_values_may_be_as_large_as_the_limits_say():
    db = await connect()
    limits = db.welcome[5]
    key = os.urandom(limits["keyBytesMax"])
    value = os.urandom(limits["valueBytesMax"])
    await db.put(Put(key, value))
    assert (await db.get(key))[1] == [value]
    context = (await db.get(key))[2]
    failed = await failure(db.put(Put(key, value + b"x", [context])), "VALUE_TOO_LARGE", "refused")
    assert failed.details["valueBytesMax"] == len(value)
    for odd in (b"\x00", b"a\nb", b"../../etc/passwd", b"\xff\xfe"):
        await db.put(Put(odd, odd))
        assert odd in (await db.get(odd))[1]
    await db.close()


@check
async def siblings_are_bounded_at_writing():
    db, key = await connect(), fresh("many")
    for i in range(64):
        await db.put(Put(key, b"%d" % i))
    await failure(db.put(Put(key, b"one more")), "TOO_MANY_SIBLINGS", "refused", False)
    state, values, context = await db.get(key)
    assert len(values) == 64
    await db.put(Put(key, b"merged", [context]))
    assert (await db.get(key))[1] == [b"merged"]
    await db.close()


@check
async def requests_in_flight_are_bounded_and_the_rest_is_overloaded():
    db, key = await connect(), fresh("flood")
    most = db.welcome[5]["inFlightMax"]
    db.cork(True)
    futures = [(await db.start(GET, key, {"r": 3}))[1] for _ in range(most + 100)]
    db.cork(False)
    answers = await asyncio.wait_for(asyncio.gather(*futures), 20)
    assert sum(answer[0] == VALUE for answer in answers) >= most
    refused = [Failed(answer) for answer in answers if answer[0] == FAILED]
    assert len(refused) > 0
    for failed in refused:
        assert (failed.code, failed.retryable, failed.outcome) == ("OVERLOADED", True, "refused")
        assert failed.details["retryAfterMs"] > 0
    await db.close()


@check
async def an_id_in_flight_is_taken_and_free_again_after_its_answer():
    db, key = await connect(), fresh("ids")
    db.cork(True)
    request_id, first = await db.start(GET, key, {"r": 3})
    await db.send([GET, request_id, key, {}])
    db.cork(False)
    one = await asyncio.wait_for(first, 20)
    two = await asyncio.wait_for(db.orphans.get(), 20)
    by_op = {one[0]: one, two[0]: two}
    assert Failed(by_op[FAILED]).code == "DUPLICATE_REQUEST" and by_op[VALUE][2] == "never-seen"
    db.last_id = request_id - 1
    assert (await db.get(key))[0] == "never-seen"
    await db.close()


@check
async def a_request_in_flight_can_be_cancelled():
    db, key = await connect(), fresh("cancel")
    db.cork(True)
    request_id, future = await db.start(GET, key, {"r": 3})
    await db.send([CANCEL, request_id, {}])
    db.cork(False)
    failed = Failed(await asyncio.wait_for(future, 20))
    assert (failed.code, failed.id) == ("CANCELLED", request_id)
    await db.send([CANCEL, request_id, {}])
    assert (await db.ask(PING, {}))[0] == PONG
    assert db.orphans.empty()
    await db.close()


@check
async def many_requests_share_one_connection():
    db = await connect()
    keys = [fresh("mux") for _ in range(64)]
    await asyncio.gather(*(db.put(Put(key, key)) for key in keys))
    answers = await asyncio.gather(*(db.get(key) for key in keys))
    assert [values for _, values, _ in answers] == [[key] for key in keys]
    await db.close()


@check
async def what_a_later_version_adds_is_ignored():
    db, key = await connect(), fresh("later")
    request_id = db.next_id()
    future = asyncio.get_running_loop().create_future()
    db.waiting[request_id] = future
    await db.ws.send(cbor2.dumps([GET, request_id, key, {"r": 1, "shiny": [{"x": -1}]}, "more", 7]))
    assert answered(await asyncio.wait_for(future, 20))[2] == "never-seen"
    await db.close()


@check
async def status_and_ping_are_answered():
    db = await connect()
    status = await db.ask(STATUS, {})
    assert status[0] == STATUS_IS and isinstance(status[2], dict)
    assert (await db.ask(PING, {}))[0] == PONG
    await db.close()


@check
async def many_gets_and_puts_come_in_parts():
    db = await connect()
    keys = [fresh("many") for _ in range(50)]
    puts = [Put(key, key).fields() + [{"w": 2}] for key in keys]
    parts = await db.ask_many(PUT_MANY, puts, {})
    assert sorted(parts) == list(range(50))
    assert all(answer[0] == APPLIED for answer in parts.values())
    parts = await db.ask_many(GET_MANY, keys + [fresh("none")], {"r": 2})
    assert [parts[i][3] for i in range(50)] == [[key] for key in keys]
    assert parts[50][2] == "never-seen"
    reused = Put(keys[0], b"other", put_id=puts[0][3]).fields() + [{}]
    parts = await db.ask_many(PUT_MANY, [reused, Put(keys[1], b"sibling").fields() + [{}]], {})
    assert Failed(parts[0]).code == "PUT_ID_REUSED" and parts[1][0] == APPLIED
    await db.close()


@check
async def a_scan_of_all_partitions_finds_every_key():
    db, prefix = await connect(), fresh("scan")
    keys = {prefix + b"%d" % i for i in range(100)}
    await asyncio.gather(*(db.put(Put(key, b"v")) for key in keys))
    await db.put(Put(prefix + b"gone", None))
    ring = await db.ask(RING, {})
    found = []
    for partition in range(ring[3]):
        after = None
        while True:
            page = await db.ask(SCAN, partition, after, {"limit": 3})
            assert page[0] == KEYS and len(page[2]) <= 2 * 3
            found += [key for key in page[2] if key.startswith(prefix)]
            after = page[3]
            if after is None:
                break
    assert len(found) == len(keys) and set(found) == keys
    await failure(db.ask(SCAN, ring[3], None, {}), "BAD_ARGUMENT", "refused", False)
    await db.close()


@check
async def the_ring_tells_where_a_key_lies_and_its_owners_hold_it():
    db, key = await connect(), fresh("placed")
    await db.put(Put(key, b"here"), w=3)
    op, _, version, partitions, n, nodes, owners, _ = await db.ask(RING, {})
    assert op == RING_IS and version >= 1 and n == 3
    top = int.from_bytes(hashlib.md5(key).digest(), "big") >> (128 - (partitions.bit_length() - 1))
    places = [
        int.from_bytes(owners[2 * i : 2 * i + 2], "big") for i in range(top * n, (top + 1) * n)
    ]
    assert sorted(nodes[place][0] for place in places if place != 65535) == ["n1", "n2", "n3"]
    contexts = []
    for node in range(3):
        replica = await connect(node)
        answer = await replica.ask(REPLICA_GET, key, {})
        assert answer[:1] == [REPLICA_IS] and answer[2] == "owner"
        assert record_values(answer[3]) == [b"here"]
        header = await replica.ask(REPLICA_GET, key, {"header": True})
        assert record_values(header[3]) == ["withheld"]
        contexts.append(answer[4])
        await replica.close()
    nothing = await db.ask(REPLICA_GET, fresh("nothing"), {})
    assert nothing[3] is None
    assert (await db.ask(REPAIR, key, {"timeout": 1000}))[0] == DONE
    await db.put(Put(key, b"after", contexts))
    assert (await db.get(key, r=3))[1] == [b"after"]
    await db.close()


def record_values(record):
    """The values of a record, as PROTOCOL.md lays it out."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = record[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    assert record[0] == 1
    at = 1
    for _ in range(varint()):
        at += 14
        varint(), varint()
    siblings = varint()
    for _ in range(siblings):
        varint(), varint(), varint()
        at += 8
        varint(), varint()
    for _ in range(varint()):
        at += 8
        varint()
    kinds = []
    for _ in range(siblings):
        kind = record[at]
        at += 1
        kinds.append((kind, varint() if kind == 0 else 0))
    values = []
    for kind, length in kinds:
        values.append(record[at : at + length] if kind == 0 else ["deleted", "withheld", "expired"][kind - 1])
        at += length
    assert at == len(record), "nothing is left over"
    return values


@check
async def a_stopping_node_says_so_and_others_go_on():
    leaving, staying, key = await connect(2), await connect(0), fresh("leaving")
    await leaving.put(Put(key, b"before"), w=3)
    stopping = asyncio.ensure_future(host("stop", "n3"))
    push = await asyncio.wait_for(leaving.pushes.get(), 20)
    assert push[:2] == [GOING_AWAY, 0]
    assert await leaving.close_code() == 1001
    await stopping
    put = Put(key, b"after", [(await staying.get(key))[2]])
    await staying.put(put)
    assert (await staying.get(key))[1] == [b"after"]
    await host("start", "n3")
    # Its new incarnation has changed the ring.
    push = await asyncio.wait_for(staying.pushes.get(), 20)
    assert push[:2] == [RING_CHANGED, 0] and push[2] > staying.welcome[6]
    await staying.close()


@check
async def too_few_nodes_are_told_from_an_unknown_outcome():
    db, key = await connect(0), fresh("few")
    await host("kill", "n2")
    await host("kill", "n3")
    began = time.monotonic()
    try:
        await db.put(Put(key, b"two"), w=2, timeout=3000)
        raise AssertionError("two acks from one node")
    except Failed as failed:
        assert failed.code == "QUORUM_NOT_MET" and failed.retryable, str(failed)
        assert failed.outcome in ("refused", "unknown"), str(failed)
    assert time.monotonic() - began < 5
    await host("see down", "n2")
    await host("see down", "n3")
    failed = await failure(db.put(Put(key, b"two"), w=2), "QUORUM_NOT_MET", "refused", True)
    assert (failed.details["wanted"], failed.details["got"]) == (2, 1)
    await failure(db.ask(GET, key, {"r": 2}), "QUORUM_NOT_MET", "refused", True)
    acks, _, _ = await db.put(Put(key, b"one"), w=1)
    assert acks == ["n1"]
    await host("start", "n2")
    await host("start", "n3")
    assert b"one" in (await db.get(key, r=3))[1]
    await db.close()


async def run(function):
    try:
        await asyncio.wait_for(function(), 60)
    except Exception as error:  # noqa: BLE001 - every failure is a line for the host
        where = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} in line {where.lineno}: {where.line}"
        say({"check": function.__name__.replace("_", " "), "ok": False, "why": why})
    else:
        say({"check": function.__name__.replace("_", " "), "ok": True})


async def main():
    for function in CHECKS:
        await run(function)
    say({"checks": len(CHECKS)})


asyncio.run(main())
