"""QUIC clients of aioquic that migrate. The argument is JSON: where to connect, and the address of each client at first and after
each move. Prints the answers of the servers: a list for each place, with an answer for each client."""

import asyncio
import json
import sys

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

TIMEOUT = 30
plan = json.loads(sys.argv[1])


class Client:
    """A client with one connection."""

    def __init__(self):
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["who"], server_name=plan["name"])
        configuration.load_verify_locations(plan["roots"])
        self.protocol = QuicConnectionProtocol(QuicConnection(configuration=configuration))
        self.transport = None

    async def bind(self, ip):
        """Sends from another address from now on."""
        old = self.transport
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self.protocol, local_addr=(ip, 0))
        if old is not None:
            old.close()

    async def connect(self, ip):
        await self.bind(ip)
        self.protocol.connect(tuple(plan["to"]))
        await self.protocol.wait_connected()

    async def migrate(self, ip):
        await self.bind(ip)
        self.protocol.change_connection_id()
        # The first answer may still go to the previous path, until the new one is validated.
        await self.ask()

    async def ask(self):
        reader, writer = await self.protocol.create_stream()
        writer.write(b"who?")
        writer.write_eof()
        return (await reader.read()).decode()


async def main():
    clients = [Client() for _ in plan["from"]]

    async def all_of(steps):
        return await asyncio.wait_for(asyncio.gather(*steps), TIMEOUT)

    await all_of(client.connect(ip) for client, ip in zip(clients, plan["from"]))
    answers = [await all_of(client.ask() for client in clients)]
    for addresses in plan["moves"]:
        await all_of(client.migrate(ip) for client, ip in zip(clients, addresses))
        answers.append(await all_of(client.ask() for client in clients))
    print(json.dumps(answers))
    for client in clients:
        client.protocol.close()


asyncio.run(main())
