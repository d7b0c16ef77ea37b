"""Publish-subscribe (XEP-0060) as slixmpp speaks it, with the service and with an account: nodes, items, pages, rights, doors.
What a stranger may not see he does not see, nor who may not any more; all of it is there after SIGKILL, and subscribers hear.

usage: pubsub.py BINARY"""
import asyncio
import logging
import sys

from slixmpp.exceptions import IqError

from client import befriend
from person import Event, Person, entry, refused, told
from server import Server

SERVICE, ACCOUNT = "pubsub.localhost", "romeo@localhost"
TALKATIVE = {"notify_config": True, "notify_delete": True, "notify_retract": True, "send_last_published_item": "never", "max_items": "100"}


async def discovered(romeo):
    items = await romeo.plugin["xep_0030"].get_items("localhost", local=False)
    assert SERVICE in {item[0] for item in items["disco_items"]["items"]}, items
    for where, kind in ((SERVICE, "service"), (ACCOUNT, "pep")):
        info = await romeo.info(where)
        assert ("pubsub", kind) in {identity[:2] for identity in info["identities"]}, info
        missing = {f"http://jabber.org/protocol/pubsub#{name}" for name in (
            "create-nodes", "config-node", "delete-nodes", "delete-items", "purge-nodes", "publish", "publish-options",
            "retrieve-items", "item-ids", "persistent-items", "modify-affiliations", "subscribe")} - set(info["features"])
        assert not missing, f"{where} lacks {missing}"


async def life(where, romeo, juliet):
    """Of a node, from its creation to its end, and what a subscriber hears of it."""
    assert await romeo.create(where, "essays", access_model="open", **TALKATIVE) == "essays"
    await refused(romeo.create(where, "essays"), "conflict")
    found = await romeo.configuration(where, "essays")
    assert (found["pubsub#access_model"], found["pubsub#max_items"]) == ("open", "100"), found
    assert "essays" in await romeo.nodes(where)
    assert ("pubsub", "leaf") in {identity[:2] for identity in (await romeo.info(where, "essays"))["identities"]}

    assert await juliet.subscribe(where, "essays") == "subscribed"
    assert await juliet.subscriptions(where) == {"essays": "subscribed"}
    await refused(juliet.subscribe(where, "essays", subscribee="tybalt@localhost"), "bad-request invalid-jid")
    await juliet.hears()

    ids = [f"essay {number}" for number in range(25)]
    for item in ids:
        await romeo.publish(where, "essays", item, entry(f"on {item} & <love>"))
    await juliet.hears(*(Event(where, "essays", "published", (item,)) for item in ids))
    assert "".join(juliet.payloads[where, "essays", ids[3]].itertext()) == "on essay 3 & <love>"
    assert await juliet.items(where, "essays") == {item: f"on {item} & <love>" for item in ids}
    assert await juliet.items(where, "essays", ids[7]) == {ids[7]: "on essay 7 & <love>"}
    assert sorted(await juliet.items(where, "essays", most="3")) == sorted(ids[-3:])
    for backwards in (False, True):
        await paged(juliet, where, ids, backwards)

    # An item published again is one item (§7.1.1), a name is given where there is none (§7.1.2).
    await romeo.publish(where, "essays", ids[3], entry("rewritten"))
    given = await romeo.publish(where, "essays", None, entry("without a name"))
    assert await juliet.items(where, "essays", ids[3], given) == {ids[3]: "rewritten", given: "without a name"}
    assert len(await juliet.items(where, "essays")) == 26
    await juliet.hears(Event(where, "essays", "published", (ids[3],)), Event(where, "essays", "published", (given,)))

    await romeo.retract(where, "essays", given)
    await juliet.hears(Event(where, "essays", "retracted", (given,)))
    await refused(romeo.retract(where, "essays", given), "item-not-found")

    # Where there may be fewer the oldest go.
    await romeo.configure(where, "essays", title="On all and sundry", max_items="5")
    await romeo.publish(where, "essays", "the last")
    gone = [item for item in ids[:21] if item != ids[3]]
    await juliet.hears(Event(where, "essays", "retracted", tuple(gone)), Event(where, "essays", "configuration"),
                       Event(where, "essays", "published", ("the last",)), Event(where, "essays", "retracted", (ids[21],)), ordered=False)
    assert list(await juliet.items(where, "essays")) == [*ids[-3:], ids[3], "the last"]
    assert (await romeo.configuration(where, "essays"))["pubsub#title"] == "On all and sundry"

    await romeo.pubsub.purge(where, "essays")
    await juliet.hears(Event(where, "essays", "purge"))
    assert await juliet.items(where, "essays") == {}

    await juliet.pubsub.unsubscribe(where, "essays")
    await refused(juliet.pubsub.unsubscribe(where, "essays"), "unexpected-request not-subscribed")
    await romeo.publish(where, "essays", "unheard")
    await juliet.hears()
    assert await juliet.subscribe(where, "essays") == "subscribed"
    await romeo.pubsub.delete_node(where, "essays")
    await juliet.hears(Event(where, "essays", "delete"))
    await refused(juliet.items(where, "essays"), "item-not-found")
    assert "essays" not in await romeo.nodes(where)
    assert await juliet.subscriptions(where) == {}


async def unnamed(romeo):
    """The service gives the name (§8.1.2); the form says what it would be like."""
    node = await romeo.create(SERVICE, None)
    assert node and node in await romeo.nodes(SERVICE)
    default = (await romeo.pubsub.get_node_config(SERVICE))["pubsub_owner"]["default"]["form"].get_values()
    found = await romeo.configuration(SERVICE, node)
    assert default["pubsub#access_model"] == found["pubsub#access_model"], (default, found)
    await romeo.publish(SERVICE, node, "one", access_model=found["pubsub#access_model"], persist_items=True)
    await refused(romeo.publish(SERVICE, node, "two", access_model="whitelist"), "conflict precondition-not-met")
    assert list(await romeo.items(SERVICE, node)) == ["one"]
    await romeo.pubsub.delete_node(SERVICE, node)


async def paged(reader, where, ids, backwards):
    """Every item once, page by page (XEP-0059), from either end; a page is read forwards."""
    found, page = [], await reader.page(where, "essays", **({"before": True} if backwards else {}))
    while page:
        assert page == [item for item in ids if item in page] and len(page) <= 10 and not set(page) & set(found), page
        found = page + found if backwards else found + page
        page = await reader.page(where, "essays", **({"before": page[0]} if backwards else {"after": page[-1]}))
    assert found == ids, found


async def rights(where, romeo, juliet, tybalt):
    """Affiliations (§4.1): each may do what it may."""
    await romeo.create(where, "chronicle", access_model="open", **TALKATIVE)
    await refused(juliet.publish(where, "chronicle", "forged"), "forbidden")
    await romeo.pubsub.modify_affiliations(where, "chronicle", [("juliet@localhost", "publisher")])
    await juliet.publish(where, "chronicle", "by juliet")
    assert await romeo.affiliations(where, "chronicle") == {ACCOUNT: "owner", "juliet@localhost": "publisher"}
    for mine in (juliet, tybalt):
        for request in (mine.pubsub.delete_node(where, "chronicle"), mine.pubsub.purge(where, "chronicle"),
                        mine.configure(where, "chronicle", access_model="whitelist"), mine.configuration(where, "chronicle"),
                        mine.affiliations(where, "chronicle"), mine.pubsub.get_node_subscriptions(where, "chronicle"),
                        mine.pubsub.modify_affiliations(where, "chronicle", [(mine.boundjid.bare, "owner")])):
            await refused(request, "forbidden")
    await refused(tybalt.retract(where, "chronicle", "by juliet"), "forbidden")
    assert set(await tybalt.items(where, "chronicle")) == {"by juliet"}

    # An outcast reads nothing and hears nothing, not even what it subscribed to before.
    assert await tybalt.subscribe(where, "chronicle") == "subscribed"
    await romeo.publish(where, "chronicle", "for all")
    await tybalt.hears(Event(where, "chronicle", "published", ("for all",)))
    await romeo.pubsub.modify_affiliations(where, "chronicle", [("tybalt@localhost", "outcast")])
    await romeo.publish(where, "chronicle", "without tybalt")
    assert [event for event in await tybalt.heard() if event.what == "published"] == []
    await refused(tybalt.items(where, "chronicle"), "forbidden")
    await refused(tybalt.subscribe(where, "chronicle"), "forbidden")
    await romeo.pubsub.delete_node(where, "chronicle")


async def doors(where, romeo, juliet, tybalt):
    """Access models (§4.5): juliet may come in, tybalt sees nothing: not in items, events, or in what there is."""
    closed = {
        "presence": "not-authorized presence-subscription-required",
        "whitelist": "not-allowed closed-node",
        "authorize": "not-authorized not-subscribed",
        "roster": "not-authorized not-in-roster-group",
    }
    for model, condition in closed.items():
        node = f"door of {model}"
        groups = {"roster_groups_allowed": ["Capulets", "Friends"]} if model == "roster" else {}
        await romeo.create(where, node, access_model=model, **groups, **TALKATIVE)
        await romeo.publish(where, node, "secret")
        await refused(tybalt.items(where, node), condition, "item-not-found")
        if model == "whitelist":
            await refused(juliet.items(where, node), condition, "item-not-found")
            await romeo.pubsub.modify_affiliations(where, node, [("juliet@localhost", "member")])
        if model == "authorize":
            await authorized(where, node, romeo, juliet, tybalt)
        else:
            await refused(tybalt.subscribe(where, node), condition, "item-not-found")
            assert await juliet.subscribe(where, node) == "subscribed"
        assert await juliet.items(where, node) == {"secret": "text of secret"}
        await romeo.publish(where, node, "another")
        await juliet.hears(Event(where, node, "published", ("another",)))
        await tybalt.hears()
        assert node in await juliet.nodes(where)
        if model != "authorize":  # who may ask has to find it
            assert node not in await tybalt.nodes(where), f"a stranger sees the {node}"
            for ask in (tybalt.info, tybalt.inside):
                assert await told(ask(where, node)) == await told(ask(where, "no such node")), f"a stranger may tell that there is a {node}"


async def shut_out(romeo, juliet):
    """Who might and may not any more hears and reads nothing, though subscribed: by each way to lose it."""
    async def member(affiliation):
        await romeo.pubsub.modify_affiliations(ACCOUNT, "inner", [("juliet@localhost", affiliation)])

    async def group(name):
        await romeo.update_roster("juliet@localhost", groups=[name])

    async def blocked(is_blocked):
        await getattr(romeo.plugin["xep_0191"], "block" if is_blocked else "unblock")(["juliet@localhost"])

    async def seen(is_seen):
        romeo.send_presence_subscription(pto="juliet@localhost", ptype="subscribed" if is_seen else "unsubscribed")
        await romeo.answered()
        if is_seen:  # approved before it is asked for
            juliet.send_presence_subscription(pto=ACCOUNT, ptype="subscribe")
            await juliet.answered()

    async def open_to(model):
        await romeo.configure(ACCOUNT, "inner", access_model=model)

    for model, way, outside, inside in (
            ("whitelist", member, "none", "member"), ("roster", group, "Strangers", "Capulets"), ("open", member, "outcast", "none"),
            ("open", open_to, "whitelist", "open"), ("open", blocked, True, False), ("presence", seen, False, True)):
        case = f"{model}, {way.__name__} {outside}"
        await romeo.create(ACCOUNT, "inner", access_model=model, roster_groups_allowed=["Capulets"], send_last_published_item="never")
        await way(inside)
        assert await juliet.subscribe(ACCOUNT, "inner") == "subscribed"
        await romeo.publish(ACCOUNT, "inner", "one")
        assert Event(ACCOUNT, "inner", "published", ("one",)) in await juliet.heard(), case
        await way(outside)
        await juliet.heard()  # what it is told of that
        await romeo.publish(ACCOUNT, "inner", "two")
        assert await juliet.heard() == [], case
        try:
            found = await juliet.items(ACCOUNT, "inner")
        except IqError:
            found = {}
        assert found == {}, case
        await way(inside)
        await romeo.pubsub.delete_node(ACCOUNT, "inner")
        await juliet.heard()


async def authorized(where, node, romeo, juliet, tybalt):
    """The owner is asked (§8.6), and lets juliet in, not tybalt."""
    for who in (juliet, tybalt):
        assert await who.subscribe(where, node) == "pending"
        await refused(who.items(where, node), "not-authorized not-subscribed", "not-authorized pending-subscription")
        await romeo.until(lambda: romeo.forms, "a form")
        form = romeo.forms.pop()
        asked = form["form"].get_values()
        assert (asked["pubsub#node"], asked["pubsub#subscriber_jid"]) == (node, who.boundjid.bare), asked
        answer = romeo.make_message(where)
        fields = {"node": node, "subscriber_jid": who.boundjid.bare, "allow": who is juliet}
        if asked.get("pubsub#subid"):
            fields["subid"] = asked["pubsub#subid"]
        answer.append(romeo.form("subscribe_authorization", **fields))
        answer.send()
        await who.hears(Event(where, node, "subscription", ("subscribed" if who is juliet else "none",)))
    assert node not in await tybalt.subscriptions(where)


async def survived(server, romeo, juliet, tybalt):
    """What was answered for is there after SIGKILL: nodes, configuration, items, rights, subscriptions; what was removed is not."""
    items = [f"item {number}" for number in range(12)]
    for where in (SERVICE, ACCOUNT):
        await romeo.create(where, "diary", access_model="whitelist", title="Dear diary", **TALKATIVE)
        await romeo.pubsub.modify_affiliations(where, "diary", [("juliet@localhost", "member")])
        assert await juliet.subscribe(where, "diary") == "subscribed"
        for item in items:
            await romeo.publish(where, "diary", item)
        await romeo.retract(where, "diary", items[0])
        await romeo.create(where, "gone")
        await romeo.pubsub.delete_node(where, "gone")
    server.kill()
    for person in (romeo, juliet, tybalt):
        person.abort()
    server.start()
    romeo, juliet, tybalt = [await Person(server, name, "study").come() for name in ("romeo", "juliet", "tybalt")]
    for where in (SERVICE, ACCOUNT):
        found = await romeo.configuration(where, "diary")
        assert (found["pubsub#access_model"], found["pubsub#title"]) == ("whitelist", "Dear diary"), found
        assert list(await juliet.items(where, "diary")) == items[1:]
        assert await romeo.affiliations(where, "diary") == {ACCOUNT: "owner", "juliet@localhost": "member"}
        assert (await juliet.subscriptions(where))["diary"] == "subscribed"
        await refused(tybalt.items(where, "diary"), "not-allowed closed-node", "item-not-found")
        assert "gone" not in await romeo.nodes(where)
        await romeo.publish(where, "diary", "back again")
        await juliet.hears(Event(where, "diary", "published", ("back again",)))
        await tybalt.hears()
    for person in (romeo, juliet, tybalt):
        await person.go()
    print("   nodes, items, rights, subscriptions after SIGKILL: ok")


async def under_load(server):
    """Killed while items are published: what was answered for is there, and so is what subscribers were told of."""
    romeo, juliet = [await Person(server, name, "study").come() for name in ("romeo", "juliet")]
    await romeo.create(SERVICE, "stream", access_model="open", max_items="max", send_last_published_item="never")
    assert await juliet.subscribe(SERVICE, "stream") == "subscribed"
    answered = []

    async def publish(lane):
        for number in range(100_000):
            answered.append(await romeo.publish(SERVICE, "stream", f"{lane}.{number}"))

    lanes = [asyncio.ensure_future(publish(lane)) for lane in range(5)]
    await juliet.until(lambda: len(juliet.events) > 500, "500 events")
    server.kill()
    for lane in lanes:
        lane.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)
    heard = {event.which[0] for event in juliet.events}
    for person in (romeo, juliet):
        person.abort()
    server.start()
    juliet = await Person(server, "juliet", "study").come()
    there, page = set(), await juliet.page(SERVICE, "stream", max="250")
    while page:
        there |= set(page)
        page = await juliet.page(SERVICE, "stream", max="250", after=page[-1])
    assert len(answered) > 300 and set(answered) <= there, f"lost: {sorted(set(answered) - there)[:5]} of {len(answered)}"
    assert heard <= there, f"told of what is not: {sorted(heard - there)[:5]} of {len(heard)}"
    await juliet.go()
    print(f"   {len(answered)} items answered for, {len(heard)} told of, none missing after SIGKILL")


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "tybalt"):
            server.user_add(name, f"secret of {name}")
        romeo, juliet, tybalt = [await Person(server, name, "study").come() for name in ("romeo", "juliet", "tybalt")]
        await befriend(romeo, juliet)
        await romeo.update_roster("juliet@localhost", groups=["Capulets"])
        await discovered(romeo)
        await unnamed(romeo)
        for where in (SERVICE, ACCOUNT):
            await life(where, romeo, juliet)
            await rights(where, romeo, juliet, tybalt)
            await doors(where, romeo, juliet, tybalt)
            print(f"   {where}: nodes, items, pages, rights, doors: ok")
        romeo.register_plugin("xep_0191")
        await shut_out(romeo, juliet)
        print("   who may not any more hears nothing any more: ok")
        await survived(server, romeo, juliet, tybalt)
        await under_load(server)
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
logging.getLogger("slixmpp.xmlstream.xmlstream").setLevel(logging.CRITICAL)  # they write when it is gone
asyncio.run(main(sys.argv[1]))
