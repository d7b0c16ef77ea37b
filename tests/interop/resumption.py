"""slixmpp resumes its session after a TCP reset, after an upgrade of the server (SIGTERM, start), not after SIGKILL.

usage: resumption.py BINARY"""
import asyncio
import logging
import sys

from client import TIMEOUT
from resuming import Resuming
from server import Server


def resumptions(server, jid):
    return len(server.logged("session.resumed", f"jid={jid}"))


async def after_a_reset(server, romeo, juliet):
    await romeo.say("juliet", "1", "2")
    await juliet.hears("1", "2")
    for body in ("a", "b", "c"):
        juliet.send_message("romeo@localhost", body, mtype="chat")
    await juliet.reset()  # with these on their way or not yet
    await romeo.say("juliet", "3", "4", "5")
    await juliet.come_back()
    assert resumptions(server, "juliet@localhost/balcony") == 1
    await romeo.say("juliet", "6")
    await juliet.hears("1", "2", "3", "4", "5", "6")
    await juliet.say("romeo", "d")
    await romeo.hears("a", "b", "c", "d")
    print("   resumed after a reset, nothing lost, doubled or disordered: ok")


async def after_an_upgrade(server, romeo, juliet):
    await juliet.reset()
    await romeo.say("juliet", "7", "8")
    server.stop()  # SIGTERM
    await asyncio.wait_for(romeo.gone.wait(), TIMEOUT)
    server.start()
    await romeo.come_back()
    await romeo.say("juliet", "9")
    await juliet.come_back()
    assert resumptions(server, "juliet@localhost/balcony") == 2
    assert resumptions(server, "romeo@localhost/orchard") == 1
    await romeo.say("juliet", "10")
    await juliet.hears(*map(str, range(1, 11)))
    print("   resumed after SIGTERM and start, by old ids: ok")


async def after_a_crash(server, romeo, juliet):
    """Nobody knows the sessions any more; what was acknowledged is in the archive, and delivered to who had not seen it."""
    await juliet.acknowledge()
    await juliet.reset()
    await romeo.say("juliet", "11", "12")
    server.kill()
    await asyncio.wait_for(romeo.gone.wait(), TIMEOUT)
    server.start()
    old = juliet.session
    juliet.heard.clear()
    await juliet.come()
    assert juliet.refused.is_set() and juliet.session != old, "SIGKILL ends sessions"
    await romeo.come()
    assert romeo.refused.is_set()
    await romeo.say("juliet", "13")
    await juliet.hears("11", "12", "13")
    history = await juliet.archive()
    assert [body for body in history if body.isdigit()] == [str(number) for number in range(1, 14)], history
    assert [body for body in history if body.isalpha()] == ["a", "b", "c", "d"], history
    print("   after SIGKILL a new session, and the whole history: ok")


async def main(binary):
    with Server(binary) as server:
        server.user_add("romeo", "secret of romeo")
        server.user_add("juliet", "secret of juliet")
        romeo = await Resuming(server, "romeo", "orchard").come()
        juliet = await Resuming(server, "juliet", "balcony").come()
        await after_a_reset(server, romeo, juliet)
        await after_an_upgrade(server, romeo, juliet)
        await after_a_crash(server, romeo, juliet)
        await romeo.go()
        await juliet.go()
        server.stop()


logging.basicConfig(level=logging.ERROR)
asyncio.run(main(sys.argv[1]))
