"""The load: so many requests over so many connections, one after the other on each. Run as a file
by the serving environment's Python: `serving_load.py <port> <connections> <requests> <file>`, with
`asleep` behind it to wait for answers asleep.

Otherwise it looks for them without a pause. A client that sleeps lets its virtual core halt, and
whoever answers it pays for waking it, up to 20 µs an answer: that measures the hypervisor.
Prints how many answers were not 200. Answers are told apart by httptools, as any client would.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import httptools
import uvloop


class Client(asyncio.Protocol):
    """One connection. Where the server closes it after an answer, another takes its place."""

    port = left = wrong = open = 0
    request = b""
    done: "asyncio.Future[None]"

    def __init__(self) -> None:
        self.is_waiting = self.is_over = False

    def connection_made(self, transport: Any) -> None:
        self.transport, self.parser = transport, httptools.HttpResponseParser(self)
        self.next()

    def next(self) -> None:
        if Client.left > 0:
            Client.left -= 1
            self.is_waiting = True
            self.transport.write(Client.request)
            return
        self.is_over = True
        self.transport.close()
        Client.open -= 1
        if Client.open == 0:
            Client.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        Client.wrong += self.parser.get_status_code() != 200
        self.is_waiting = False
        if self.parser.should_keep_alive():
            self.next()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_over:
            return
        Client.left += self.is_waiting
        loop = asyncio.get_running_loop()
        tasks.add(loop.create_task(loop.create_connection(Client, "127.0.0.1", Client.port)))


tasks: set[Any] = set()


def look() -> None:
    if Client.open:
        asyncio.get_running_loop().call_soon(look)


async def main(port: int, connections: int, requests: int, path: str, is_asleep: bool) -> None:
    loop = asyncio.get_running_loop()
    Client.left, Client.open, Client.done = requests, connections, loop.create_future()
    Client.port = port
    Client.request = Path(path).read_bytes()
    for _ in range(connections):
        await loop.create_connection(Client, "127.0.0.1", port)
    if not is_asleep:
        look()
    await Client.done
    print(Client.wrong)


if __name__ == "__main__":
    uvloop.run(
        main(
            int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], "asleep" in sys.argv
        )
    )
