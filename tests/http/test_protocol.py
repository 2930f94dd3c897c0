"""The gate before uvicorn's protocol, on connections of a server in this process."""

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from hub.http import connections, protocol
from hub.http.connections import Connections
from hub.http.protocol import PIPELINED, Protocol

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OPEN_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"


@pytest.fixture
def quick(monkeypatch):
    for module, name, seconds in (
        (connections, "_LOOK_EVERY", 0.02),
        (protocol, "WRITE_TIMEOUT", 0.1),
        (protocol, "HEAD_TIMEOUT", 0.1),
        (protocol, "_FLUSH_TIMEOUT", 0.1),
    ):
        monkeypatch.setattr(module, name, seconds)


class Server:
    """A server whose application answers every request at once, without reading its body."""

    def __init__(self, most=10, body=b"ok"):
        self.all = Connections(most)
        self.pipelined = []
        self._body = body
        self._config = uvicorn.Config(
            app=self._answer,
            lifespan="off",
            ws="none",
            log_config=None,
            interface="asgi3",
            proxy_headers=False,
        )
        self._config.load()

    async def _answer(self, scope, receive, send):
        self.pipelined.append(scope["state"].get(PIPELINED, False))
        length = str(len(self._body)).encode()
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", length)],
        }
        await send(start)
        await send({"type": "http.response.body", "body": self._body})

    @asynccontextmanager
    async def listening(self):
        make = partial(
            Protocol,
            self._config,
            ServerState(),
            {},
            all_connections=self.all,
            largest_body=1000,
        )
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        writers = []

        async def connect():
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writers.append(writer)
            return reader, writer

        try:
            yield connect
        finally:
            server.close()
            for writer in writers:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()


async def rest(reader, seconds=5):
    """All that comes until the connection is closed."""
    parts = []
    with suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65536), seconds):
            parts.append(part)
    return b"".join(parts)


async def write_on(writer):
    """Send without end; what ends it is the connection."""
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()
        await asyncio.sleep(0)


def run(test, server):
    async def main():
        async with server.listening() as connect:
            await test(connect)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_one_behind_another_is_marked_and_answered_in_its_turn():
    server = Server()

    async def test(connect):
        reader, writer = await connect()
        writer.write(GET + GET + GET.replace(b"Host", b"Connection: close\r\nHost"))
        assert (await rest(reader)).count(b"HTTP/1.1 200") == 3

    run(test, server)
    assert server.pipelined == [False, True, True]
    assert server.all._held == 0


@pytest.mark.parametrize("pause", [False, True])
def test_what_comes_while_others_wait_does_not_overtake_them(pause):
    server = Server()
    order = []

    async def answer(scope, receive, send):
        order.append(scope["path"])
        if pause:
            await asyncio.sleep(0.001)
        await server._answer(scope, receive, send)

    server._config.loaded_app = answer

    async def test(connect):
        for _ in range(50):
            order.clear()
            reader, writer = await connect()
            for number in range(0, 9, 3):
                three = [GET.replace(b"/ ", b"/%d " % (number + one)) for one in range(3)]
                whole = b"".join(three)
                writer.write(whole[:-20])
                await asyncio.sleep(0)
                writer.write(whole[-20:])
            answers = b""
            while answers.count(b"ok") < 9:
                answers += await asyncio.wait_for(reader.read(65536), 5)
            assert order == [f"/{number}" for number in range(9)]

    run(test, server)


def test_line_ends_after_each_body_are_passed_over():
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    server = Server()

    async def test(connect):
        reader, writer = await connect()
        for _ in range(300):
            writer.write(post + b"\r\n")
            assert await reader.readuntil(b"ok")

    run(test, server)
    assert not any(server.pipelined)


def test_the_next_request_may_begin_with_the_end_of_a_body_that_was_answered():
    async def test(connect):
        reader, writer = await connect()
        writer.write(OPEN_BODY)
        await reader.readuntil(b"ok")
        writer.write(b"x" * 8 + GET[:9])
        await asyncio.sleep(0.05)
        writer.write(GET[9:])
        assert await asyncio.wait_for(reader.readuntil(b"ok"), 5)

    run(test, Server())


def test_who_still_sends_sees_why_it_is_refused():
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def test(connect):
        for _ in range(20):
            reader, writer = await connect()
            writer.write(chunked + b"%x\r\n" % 3_000_000 + b"x" * 3_000_000)
            assert (await rest(reader)).startswith(b"HTTP/1.1 413 ")

    run(test, Server())


def test_who_goes_on_after_a_refusal_is_cut_off(quick):
    async def test(connect):
        reader, writer = await connect()
        writer.write(b"nonsense\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 400 ")
        with pytest.raises(ConnectionError):
            await write_on(writer)

    run(test, Server())


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", [b"400"]),
        (GET + b"nonsense\r\n\r\n", [b"200"]),
        (GET + b"\x16\x03", [b"200"]),
        (b"nonsense\r\n\r\n", [b"400"]),
    ],
)
def test_what_is_no_request_ends_the_connection_after_the_answers_before(sent, statuses):
    async def test(connect):
        reader, writer = await connect()
        writer.write(sent)
        answers = await rest(reader)
        found = [line[9:12] for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.1")]
        assert found[: len(statuses)] == statuses

    run(test, Server())


def test_who_never_reads_is_given_up(quick):
    server = Server(body=b"x" * 8_000_000)

    async def test(connect):
        reader, writer = await connect()
        reader._transport.pause_reading()
        writer.write(GET * 3)
        await until(lambda: not server.all._open)

    run(test, server)


def test_who_sends_nothing_is_given_up(quick):
    async def test(connect):
        for begun in (b"", b"GET / HTTP/1.1\r\n"):
            reader, writer = await connect()
            writer.write(begun)
            assert await rest(reader) == b""

    run(test, Server())


def test_a_body_that_was_answered_is_not_waited_for_without_end(quick):
    async def test(connect):
        reader, writer = await connect()
        writer.write(OPEN_BODY)
        assert (await rest(reader)).startswith(b"HTTP/1.1 200")

    run(test, Server())


def test_a_body_that_was_answered_is_not_read_without_end(monkeypatch):
    monkeypatch.setattr(protocol, "_MOST_DISCARDED", 100_000)

    async def test(connect):
        reader, writer = await connect()
        writer.write(OPEN_BODY.replace(b"9", b"9999999"))
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        with pytest.raises(ConnectionError):
            await write_on(writer)

    run(test, Server())


def test_the_idle_make_room_and_where_none_is_a_new_one_is_503():
    server = Server(most=2)

    async def test(connect):
        idle, _ = await connect()
        await until(lambda: len(server.all._idle) == 1)
        for _ in range(2):
            await connect()
        assert await rest(idle) == b""
        for connection in list(server.all._idle):
            server.all.serve(connection)  # as if each had a request that is being answered
        reader, _ = await connect()
        assert (await rest(reader)).startswith(b"HTTP/1.1 503 Service Unavailable")

    run(test, server)


def test_what_is_held_together_is_bounded(monkeypatch):
    monkeypatch.setattr(connections, "MOST_HELD", 50_000)
    server = Server()
    reading = asyncio.Event()

    async def wait(scope, receive, send):
        await reading.wait()

    server._config.loaded_app = wait

    async def test(connect):
        first, second = await connect(), await connect()
        for _, writer in (first, second):
            writer.write(OPEN_BODY.replace(b"9", b"40000") + b"x" * 39_000)
        done, _ = await asyncio.wait(
            [asyncio.ensure_future(rest(reader)) for reader, _ in (first, second)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert done.pop().result().startswith(b"HTTP/1.1 503")
        reading.set()
        for _, writer in (first, second):
            writer.close()
        await until(lambda: server.all._held == 0)

    run(test, server)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
