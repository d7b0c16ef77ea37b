"""Two slixmpp clients: TLS verified, add each other, chat, leave and come back, archive; then SIGKILL under load.

usage: conversation.py BINARY"""
import asyncio
import logging
import sys

from client import TIMEOUT, Client, befriend
from server import Server


async def converse(server):
    romeo = await Client(server, "romeo", "orchard").come()
    juliet = await Client(server, "juliet", "balcony").come()
    await befriend(romeo, juliet)
    romeo.send_message("juliet@localhost", "Good morrow", mtype="chat")
    assert (await juliet.next_message())["body"] == "Good morrow"
    await juliet.go()
    for number in range(5):
        romeo.send_message("juliet@localhost", f"while away {number}", mtype="chat")
    await romeo.plugin["xep_0199"].ping()
    juliet = await Client(server, "juliet", "balcony").come()
    for number in range(5):
        message = await juliet.next_message()
        assert message["body"] == f"while away {number}", message
        assert message["delay"]["stamp"], "offline messages carry their time"
    expected = ["Good morrow"] + [f"while away {number}" for number in range(5)]
    assert await juliet.archive() == expected, "juliet's archive"
    assert await romeo.archive() == expected, "romeo's archive"
    assert juliet.client_roster["romeo@localhost"]["subscription"] == "both"
    return romeo, juliet


async def kill_under_load(server, romeo, juliet):
    """What the server answered for (a ping behind each message) must be there after SIGKILL."""
    acknowledged = []
    async def load():
        for number in range(100_000):
            romeo.send_message("juliet@localhost", f"load {number}", mtype="chat")
            await romeo.plugin["xep_0199"].ping(timeout=TIMEOUT)
            acknowledged.append(f"load {number}")
    task = asyncio.ensure_future(load())
    await asyncio.sleep(2)
    server.kill()
    task.cancel()
    romeo.abort()
    juliet.abort()
    await asyncio.gather(task, return_exceptions=True)
    assert len(acknowledged) > 20, f"only {len(acknowledged)} messages in two seconds"
    server.start()
    juliet = await Client(server, "juliet", "chamber").come()
    archived = await juliet.archive()
    missing = [body for body in acknowledged if archived.count(body) != 1]
    assert not missing, f"lost or doubled: {missing[:5]} of {len(acknowledged)}"
    await juliet.go()
    print(f"   {len(acknowledged)} acknowledged messages, none missing after SIGKILL")


async def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        romeo, juliet = await converse(server)
        print("   add, chat, leave, come back, archive: ok")
        await kill_under_load(server, romeo, juliet)
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
