"""A coterie client in Python, written from PROTOCOL.md and protocol.cddl alone."""

import asyncio
import os
import socket
import time

import cbor2
import websockets

SUBPROTOCOL = "coterie.1.cbor"

HELLO, GET, PUT, STATUS, PING, CANCEL = 1, 2, 3, 4, 5, 6
WELCOME, VALUE, APPLIED, STATUS_IS, PONG, FAILED = 16, 17, 18, 19, 20, 21
GOING_AWAY, RING_CHANGED = 22, 23
GET_MANY, PUT_MANY, SCAN, RING, REPLICA_GET, REPAIR = 7, 8, 9, 10, 11, 12
PART, DONE, KEYS, RING_IS, REPLICA_IS = 24, 25, 26, 27, 28


class Failed(Exception):
    """FAILED, as the node said it."""

    def __init__(self, reply):
        _, self.id, self.code, self.message, self.details = reply[:5]
        self.retryable = self.details["retryable"]
        self.outcome = self.details["outcome"]
        super().__init__(f"{self.code} ({self.outcome}): {self.message}")


class Put:
    """One put: what a retry must repeat."""

    def __init__(self, key, value, contexts=(), put_id=None, written_at=None):
        self.key = key
        self.value = value
        self.contexts = list(contexts)
        self.put_id = os.urandom(8) if put_id is None else put_id
        self.written_at = int(time.time() * 1000) if written_at is None else written_at
        self.attempt = 0

    def fields(self):
        self.attempt += 1
        return [self.key, self.value, self.contexts, self.put_id, self.written_at, self.attempt]


class Client:
    """One connection to one node. `record(frame, sender)` is given every well-formed frame."""

    def __init__(self, ws, record):
        self.ws = ws
        self.record = record
        self.last_id = 0
        self.waiting = {}
        self.parts = {}
        self.pushes = asyncio.Queue()
        self.orphans = asyncio.Queue()
        self.welcome = None
        self.reader = asyncio.ensure_future(self._read())

    @classmethod
    async def open(cls, url, record=lambda frame, sender: None):
        """Connects and says nothing yet."""
        ws = await websockets.connect(
            url + "/v1", subprotocols=[SUBPROTOCOL], max_size=64 * 1024 * 1024, compression=None
        )
        assert ws.subprotocol == SUBPROTOCOL
        return cls(ws, record)

    @classmethod
    async def connect(cls, url, record=lambda frame, sender: None):
        client = await cls.open(url, record)
        client.welcome = await client.ask(HELLO, 1, 1, "conformance.py/1", {})
        return client

    async def _read(self):
        try:
            async for frame in self.ws:
                self.record(frame, "node")
                message = cbor2.loads(frame)
                op, request_id = message[0], message[1]
                if request_id == 0 and op != FAILED:
                    self.pushes.put_nowait(message)
                elif op == PART:
                    self.parts[request_id][message[2]] = message[3]
                elif request_id in self.waiting:
                    self.waiting.pop(request_id).set_result(message)
                else:
                    self.orphans.put_nowait(message)
        except websockets.ConnectionClosed:
            pass
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("closed before the answer"))
                future.exception()

    def next_id(self):
        self.last_id += 1
        return self.last_id

    async def send(self, message):
        frame = cbor2.dumps(message)
        self.record(frame, "client")
        await self.ws.send(frame)

    async def start(self, op, *fields):
        """Sends a request; its id and the future of its answer."""
        request_id = self.next_id()
        future = asyncio.get_running_loop().create_future()
        self.waiting[request_id] = future
        await self.send([op, request_id, *fields])
        return request_id, future

    async def ask(self, op, *fields):
        """The answer; raises Failed."""
        _, future = await self.start(op, *fields)
        return answered(await asyncio.wait_for(future, 20))

    async def ask_many(self, op, *fields):
        """The answers by index, once all are there."""
        self.parts[self.last_id + 1] = {}
        request_id, future = await self.start(op, *fields)
        assert answered(await asyncio.wait_for(future, 20))[0] == DONE
        return self.parts.pop(request_id)

    async def ask_raw(self, *frames):
        """Sends bytes as they are, unrecorded, and waits for the answer with id 0."""
        for frame in frames:
            await self.ws.send(frame)
        return await asyncio.wait_for(self.orphans.get(), 20)

    async def get(self, key, **options):
        """(state, values, context)"""
        reply = await self.ask(GET, key, options)
        assert reply[0] == VALUE
        return reply[2], reply[3], reply[4]

    async def put(self, put, **options):
        """(acks, durable, context); call it again to retry."""
        reply = await self.ask(PUT, *put.fields(), options)
        assert reply[0] == APPLIED
        return reply[2], reply[3], reply[4]

    def cork(self, on):
        """Holds small writes back, so that several messages arrive at once."""
        sock = self.ws.transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1 if on else 0)

    async def close_code(self):
        """Waits for the end; the close code."""
        await asyncio.wait_for(self.ws.wait_closed(), 20)
        return self.ws.close_code

    async def close(self):
        await self.ws.close()
        await self.reader


def answered(reply):
    if reply[0] == FAILED:
        raise Failed(reply)
    return reply
