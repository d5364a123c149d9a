"""A gRPC server and client of grpcio, without generated code.

calls.py serve ADDRESS [CERTIFICATE KEY]    serve, and print an event per line
calls.py SCENARIO ADDRESS CA [ARGUMENTS…]   run a scenario through the load balancer at ADDRESS, print what came of it

Methods are named after their kinds: /calls.Calls/Unary, /calls.Calls/ServerStream and so on. Messages are bytes.
"""

import asyncio
import json
import sys
import threading
from collections import Counter

import grpc
import grpc.aio

SERVICE = "/calls.Calls/"
NAME = "a.example"
ALL_BYTES = bytes(range(256))
LARGE = 8 << 20
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.ssl_target_name_override", NAME),
]


def event(text):
    print(text, flush=True)


# The server.


def metadata_of(context):
    """The client's own metadata, which the server returns."""
    return [(key, value) for key, value in context.invocation_metadata() if key.startswith("own-")]


async def unary(request, context):
    await context.send_initial_metadata(metadata_of(context))
    context.set_trailing_metadata(metadata_of(context))
    return request


async def compressed(request, context):
    context.set_compression(grpc.Compression.Gzip)
    # Without this grpcio 1.85 sends the response as it is.
    await context.send_initial_metadata(())
    return request


async def status(request, context):
    wanted = json.loads(request)
    context.set_trailing_metadata(metadata_of(context))
    await context.abort(grpc.StatusCode[wanted["code"]], wanted["details"])


async def server_stream(request, context):
    wanted = json.loads(request)
    for n in range(wanted["messages"]):
        yield bytes([n % 256]) * wanted["size"]


async def client_stream(requests, context):
    messages, size = 0, 0
    async for request in requests:
        messages, size = messages + 1, size + len(request)
    return f"{messages} {size}".encode()


async def both_streams(requests, context):
    async for request in requests:
        yield request


async def wait(request, context):
    """Never answers, and tells how the call ended."""
    left = context.time_remaining()
    event("waits" if left is None else f"waits within {left < 60}")
    try:
        await asyncio.Event().wait()
    finally:
        event("cancelled")


async def stream_then_wait(request, context):
    """Sends a message and no more."""
    yield request
    await wait(request, context)


class Calls(grpc.GenericRpcHandler):
    METHODS = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Compressed": grpc.unary_unary_rpc_method_handler(compressed),
        "Status": grpc.unary_unary_rpc_method_handler(status),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "BothStreams": grpc.stream_stream_rpc_method_handler(both_streams),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "StreamThenWait": grpc.unary_stream_rpc_method_handler(stream_then_wait),
    }

    def service(self, details):
        return self.METHODS.get(details.method.removeprefix(SERVICE))


async def serve(address, *tls):
    server = grpc.aio.server(handlers=[Calls()], options=OPTIONS)
    if tls:
        certificate, key = (open(path, "rb").read() for path in tls)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    assert port, address
    await server.start()
    event("serves")
    await server.wait_for_termination()


# The client.


class Channel:
    """A channel, whose methods are those of the service."""

    def __init__(self, address, ca, module=grpc):
        credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
        self.channel = module.secure_channel(address, credentials, OPTIONS)

    def unary(self, method):
        return self.channel.unary_unary(SERVICE + method)

    def server_stream(self, method):
        return self.channel.unary_stream(SERVICE + method)

    def client_stream(self, method):
        return self.channel.stream_unary(SERVICE + method)

    def both_streams(self, method):
        return self.channel.stream_stream(SERVICE + method)


def failure(call):
    """The status with which `call` fails."""
    try:
        result = call()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"no failure but {result!r}")


def messages_both_ways(to):
    assert to.unary("Unary")(b"hello") == b"hello"
    assert to.unary("Unary")(b"") == b""
    large = ALL_BYTES * (LARGE // 256)
    assert to.unary("Unary")(large) == large
    wanted = json.dumps({"messages": 300, "size": 5000}).encode()
    got = list(to.server_stream("ServerStream")(wanted))
    assert got == [bytes([n % 256]) * 5000 for n in range(300)]
    assert list(to.server_stream("ServerStream")(b'{"messages": 0, "size": 0}')) == []
    got = to.client_stream("ClientStream")(ALL_BYTES * n for n in range(200))
    assert got == b"200 %d" % (256 * 199 * 100), got
    assert to.client_stream("ClientStream")(iter(())) == b"0 0"


def ping_pong(to):
    """Sends each message once the last one is back."""
    is_back = threading.Semaphore(1)

    def messages():
        for n in range(50):
            assert is_back.acquire(timeout=30)
            yield b"%d" % n * (n * 100)

    got = []
    for message in to.both_streams("BothStreams")(messages()):
        got.append(message)
        is_back.release()
    assert got == [b"%d" % n * (n * 100) for n in range(50)]


def metadata(to):
    sent = (("own-text", "a b; c"), ("own-twice", "1"), ("own-twice", "2"), ("own-all-bin", ALL_BYTES), ("own-none-bin", b""))
    _, call = to.unary("Unary").with_call(b"", metadata=sent)
    for got in call.initial_metadata(), call.trailing_metadata():
        got = [(key, value) for key, value in got if key.startswith("own-")]
        assert Counter(got) == Counter(sent), got
        assert [value for key, value in got if key == "own-twice"] == ["1", "2"]


def statuses(to):
    for code in grpc.StatusCode:
        if code is grpc.StatusCode.OK:
            continue
        details = f"{code.name}: 100 % wrong\nünd é"
        wanted = json.dumps({"code": code.name, "details": details}).encode()
        error = failure(lambda: to.unary("Status")(wanted, metadata=[("own-why-bin", ALL_BYTES)]))
        assert (error.code(), error.details()) == (code, details), error
        assert ("own-why-bin", ALL_BYTES) in error.trailing_metadata()
    error = failure(lambda: to.unary("Unknown")(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error


def interop(address, ca):
    to = Channel(address, ca)
    for case in messages_both_ways, ping_pong, metadata, statuses:
        case(to)
        event(case.__name__)


def gzip(address, ca):
    zeros = bytes(1 << 20)
    got = Channel(address, ca).unary("Compressed")(zeros, compression=grpc.Compression.Gzip)
    event(got == zeros)


def deadline(address, ca):
    error = failure(lambda: Channel(address, ca).unary("Wait")(b"", timeout=1))
    event(error.code().name)


def cancel(address, ca):
    """Cancels a call that has no response, and one that has a message."""
    to = Channel(address, ca)
    call = to.unary("Wait").future(b"")
    event("called")
    sys.stdin.readline()
    call.cancel()
    event(call.code().name)
    call = to.server_stream("StreamThenWait")(b"first")
    event(next(call).decode())
    sys.stdin.readline()
    call.cancel()
    event(call.code().name)


def stream(address, ca):
    """Reads a stream until it ends, and tells how."""
    call = Channel(address, ca).server_stream("StreamThenWait")(b"first")
    event(next(call).decode())
    error = failure(lambda: next(call))
    event(error.code().name)


async def many(address, ca, channels, calls):
    """Makes many calls at a time on each of some channels, and counts their statuses."""
    at_once, (channels, calls) = 50, map(int, (channels, calls))
    outcomes = Counter()

    async def call(method, times):
        for n in range(times):
            message = b"%d" % n
            try:
                got = await method(message)
                outcomes["OK" if got == message else "another message"] += 1
            except grpc.aio.AioRpcError as error:
                outcomes[error.code().name] += 1
            if sum(outcomes.values()) == 500:
                event("500 calls")

    every = [Channel(address, ca, grpc.aio) for _ in range(channels)]
    methods = [to.unary("Unary") for to in every for _ in range(at_once)]
    await asyncio.gather(*(call(method, calls // len(methods)) for method in methods))
    event(json.dumps(outcomes, sort_keys=True))


if __name__ == "__main__":
    scenario, *arguments = sys.argv[1:]
    result = globals()[scenario](*arguments)
    if result is not None:
        asyncio.run(result)
