"""Rooms (XEP-0045) as slixmpp knows them: made at once and to order, entered, talked in, corrected, retracted, reacted to, looked up
in history and archive; ruled by kick, ban, voice, membership, password; invitations, nicks, self-pings, an end. SIGKILL meanwhile.

usage: rooms.py BINARY"""
import asyncio
import itertools
import logging
import sys

from slixmpp import JID
from slixmpp.xmlstream import ET

from client import TIMEOUT
from occupant import DELAY, MUC, OCCUPANT_ID, SERVICE, STANZA_ID, USER, come, ids, refused, settled
from server import Server

ORCHARD, HALL, CELL, TOMB = (f"{name}@{SERVICE}" for name in ("orchard", "hall", "cell", "tomb"))
ROMEO, JULIET, NURSE, TYBALT = (f"{name}@localhost" for name in ("romeo", "juliet", "nurse", "tybalt"))
MAM, RETRACT, MODERATE = "urn:xmpp:mam:2", "urn:xmpp:message-retract:1", "urn:xmpp:message-moderate:1"


def status(code):
    """Among others."""
    return f"{{{USER}}}x/{{{USER}}}status[@code='{code}']"


async def found(romeo):
    """§6.1, §6.2: the service is among the server's, and is a conference service."""
    items = await romeo.plugin["xep_0030"].get_items("localhost", local=False)
    assert SERVICE in {str(jid) for jid, _node, _name in items["disco_items"]["items"]}, items
    features, _form, identities = await romeo.room_info(SERVICE)
    assert MUC in features and ("conference", "text") in {each[:2] for each in identities}, (features, identities)
    await refused(romeo.room_info(ORCHARD), "item-not-found", kind="cancel")
    print("   the service found: ok", flush=True)


async def instant(romeo, juliet):
    """§10.1.2: nobody else comes in before it is unlocked, and then only whom its owner wants, until he says otherwise."""
    own, subject, people, history = await romeo.enter(ORCHARD, "Romeo")
    assert own["muc"]["status_codes"] - {100} == {110, 201} and own["muc"]["affiliation"] == "owner", own
    assert not subject["subject"] and not history and len(people) == 1
    await refused(juliet.enter(ORCHARD, "Juliet"), "item-not-found", kind="cancel")
    await romeo.configure(ORCHARD)
    await refused(juliet.enter(ORCHARD, "Juliet"), "registration-required", kind="auth")
    await romeo.configure(ORCHARD, membersonly=False, whois="moderators")
    own, subject, people, history = await juliet.enter(ORCHARD, "Juliet")
    assert own["muc"]["status_codes"] == {110}, own
    assert (own["muc"]["affiliation"], own["muc"]["role"]) == ("none", "participant"), own
    assert [each["from"].resource for each in people] == ["Romeo", "Juliet"], people
    assert not people[0]["muc"]["jid"].bare, "who may not see addresses sees one"
    await romeo.sees(f"{ORCHARD}/Juliet", role="participant", affiliation="none", jid=juliet.boundjid.full)
    features, form, identities = await juliet.room_info(ORCHARD)
    assert {MUC, MAM, "muc_open", "muc_unmoderated", "muc_semianonymous", "muc_unsecured", "urn:xmpp:occupant-id:0"} <= features, features
    assert ("conference", "text") in {each[:2] for each in identities} and form["FORM_TYPE"] == f"{MUC}#roominfo", form
    assert form["muc#roominfo_occupants"] == "2", form
    print("   an instant room, locked until it is accepted: ok", flush=True)


async def talk(romeo, juliet, tybalt):
    """Ids are the room's, whatever the sender says they are; who is not in is told so."""
    name = romeo.say(ORCHARD, "But soft")
    heard = [await person.hears(f"{ORCHARD}/Romeo", "But soft") for person in (romeo, juliet)]
    assert {each["id"] for each in heard} == {name}, "an id was changed"
    (first, romeos), (second, _) = (ids(each, ORCHARD) for each in heard)
    assert first == second, "the room's id differs by who hears it"
    forged = juliet.make_message(ORCHARD, "Ay me", mtype="groupchat")
    for _ in range(2):
        forged.append(ET.Element(STANZA_ID, {"id": first, "by": ORCHARD}))
        forged.append(ET.Element(OCCUPANT_ID, {"id": romeos}))
        forged.append(ET.Element(DELAY, {"from": ORCHARD, "stamp": "1999-01-01T00:00:00Z"}))
    forged.send()
    message = await romeo.hears(f"{ORCHARD}/Juliet", "Ay me")
    room_id, juliets = ids(message, ORCHARD)
    assert room_id != first and juliets != romeos, message
    tybalt.say(ORCHARD, "This, by his voice")
    await tybalt.gets("message", ORCHARD, condition="not-acceptable")
    await settled(romeo)
    await romeo.gets_no("message", f"{ORCHARD}/Tybalt")
    await juliet.hears(f"{ORCHARD}/Juliet", "Ay me")
    print("   messages and whose they are: ok", flush=True)
    return name, first, room_id


async def change(romeo, juliet, name, room_id, other):
    """Corrections name the sender's id; reactions and retractions the room's (XEP-0308, 0444, 0424)."""
    better = romeo.plugin["xep_0308"].build_correction(name, ORCHARD, mtype="groupchat", mbody="But, soft!")
    better.send()
    message = await juliet.hears(f"{ORCHARD}/Romeo", "But, soft!")
    assert message["replace"]["id"] == name, message
    reaction = juliet.make_message(ORCHARD, mtype="groupchat")
    juliet.plugin["xep_0444"].set_reactions(reaction, room_id, ["\N{HEAVY BLACK HEART}"])
    reaction.send()
    message = await romeo.gets("message", f"{ORCHARD}/Juliet", has=["{urn:xmpp:reactions:0}reactions"])
    assert message["reactions"]["id"] == room_id
    juliet.plugin["xep_0424"].send_retraction(ORCHARD, other, mtype="groupchat", include_fallback=False)
    message = await romeo.gets("message", f"{ORCHARD}/Juliet", has=[f"{{{RETRACT}}}retract"])
    assert message["retract"]["id"] == other, message
    print("   corrected, reacted to, retracted: ok", flush=True)


async def history(romeo, nurse):
    """§7.2.13-7.2.14: no more than asked for, each with the room's delay."""
    for number in range(5):
        romeo.say(ORCHARD, f"line {number}")
    await romeo.hears(f"{ORCHARD}/Romeo", "line 4")
    for how, wanted in (({"maxstanzas": 2}, ["line 3", "line 4"]), ({"maxstanzas": 0}, []), ({"maxchars": 0}, [])):
        _own, _subject, _people, lines = await nurse.enter(ORCHARD, "Nurse", **how)
        assert [each["body"] for each in lines] == wanted, (how, lines)
        assert all(each["from"] == f"{ORCHARD}/Romeo" and ids(each, ORCHARD) for each in lines), lines
        await romeo.sees(f"{ORCHARD}/Nurse", type="available")
        nurse.leave(ORCHARD, "Nurse")
        await nurse.sees(f"{ORCHARD}/Nurse", 110, type="unavailable", role="none")
        await romeo.sees(f"{ORCHARD}/Nurse", type="unavailable", role="none")
    assert not await nurse.is_in(ORCHARD, "Nurse")
    print("   history as asked for, leaving: ok", flush=True)


async def archive(romeo, juliet, tybalt):
    """XEP-0313: all there, in order, page after page; whose address it was is told to oneself and who may see it."""
    for reader in (romeo, juliet):
        stored = await reader.room_archive(ORCHARD)
        said = [each["body"] for each in stored.values() if each["body"]]
        assert [body for body in said if body.startswith("line ")] == [f"line {number}" for number in range(5)], said
        assert said.count("But, soft!") == 1, said
        shown = {each["muc"]["jid"].bare for each in stored.values() if each["muc"]["jid"].bare}
        assert reader is romeo or shown == {juliet.boundjid.bare}, shown
    last = list(stored)[-1]
    assert not await juliet.room_archive(ORCHARD, after=last)
    await refused(juliet.plugin["xep_0313"].retrieve(ORCHARD, rsm={"after": "no such id"}), "item-not-found")
    print("   the archive: ok", flush=True)


async def subject(romeo, juliet, nurse):
    """§8.1: a moderator's; the next to come is told whose it is."""
    romeo.muc.set_subject(ORCHARD, "The east")
    for person in (romeo, juliet):
        await person.gets("message", f"{ORCHARD}/Romeo", type="groupchat", subject="The east")
    await romeo.configure(ORCHARD, changesubject=False)
    juliet.muc.set_subject(ORCHARD, "The moon")
    await juliet.gets("message", ORCHARD, condition="forbidden")
    _own, told, _people, _history = await nurse.enter(ORCHARD, "Nurse", maxstanzas=0)
    assert told["subject"] == "The east" and told["from"] == f"{ORCHARD}/Romeo", told
    print("   subjects: ok", flush=True)


async def private(romeo, juliet, nurse):
    """§7.5: from nick to nick, and nobody else's business."""
    juliet.send_message(f"{ORCHARD}/Romeo", "Swear not by the moon", mtype="chat")
    await romeo.gets("message", f"{ORCHARD}/Juliet", type="chat", body="Swear not by the moon")
    juliet.send_message(f"{ORCHARD}/Paris", "Who?", mtype="chat")
    await juliet.gets("message", f"{ORCHARD}/Paris", condition="item-not-found")
    await settled(juliet, nurse)
    await nurse.gets_no("message", f"{ORCHARD}/Juliet", type="chat")
    assert "Swear not by the moon" not in [each["body"] for each in (await romeo.room_archive(ORCHARD)).values()]
    print("   private messages: ok", flush=True)


async def nicks(server, romeo, juliet, nurse):
    """§7.6, §7.2.9: nobody takes another's; two places of one account may share one, or have two."""
    assert await juliet.muc.set_self_nick(ORCHARD, "Capulet", timeout=TIMEOUT) == "Capulet"
    await juliet.sees(f"{ORCHARD}/Juliet", 110, 303, type="unavailable", nick="Capulet")
    await juliet.sees(f"{ORCHARD}/Capulet", 110, type="available")
    await romeo.sees(f"{ORCHARD}/Juliet", 303, type="unavailable", nick="Capulet")
    await romeo.sees(f"{ORCHARD}/Capulet", type="available")
    juliet.send_presence(pto=f"{ORCHARD}/Romeo")
    await juliet.gets("presence", f"{ORCHARD}/Romeo", condition="conflict")
    assert await juliet.is_in(ORCHARD, "Capulet")
    await juliet.muc.set_self_nick(ORCHARD, "Juliet", timeout=TIMEOUT)
    tybalt = await come(server, "tybalt", "street")
    await refused(tybalt.enter(ORCHARD, "Romeo"), "conflict", kind="cancel")
    balcony = await come(server, "juliet", "chamber")
    await balcony.enter(ORCHARD, "Juliet", maxstanzas=0)
    romeo.say(ORCHARD, "Ah, dear saint")
    for person in (juliet, balcony):
        await person.hears(f"{ORCHARD}/Romeo", "Ah, dear saint")
    balcony.say(ORCHARD, "Wherefore art thou")
    for person in (juliet, balcony, romeo):
        await person.hears(f"{ORCHARD}/Juliet", "Wherefore art thou")
    nurse.forget(ORCHARD)
    balcony.leave(ORCHARD, "Juliet")
    await balcony.sees(f"{ORCHARD}/Juliet", 110, type="unavailable", role="none")
    await settled(romeo, nurse)
    await nurse.gets_no("presence", f"{ORCHARD}/Juliet", type="unavailable")
    # Or two, which then are told of each other.
    await balcony.enter(ORCHARD, "Capulet", maxstanzas=0)
    for person in (juliet, nurse):
        await person.sees(f"{ORCHARD}/Capulet", type="available")
    await balcony.go()
    for person in (juliet, nurse):
        await person.sees(f"{ORCHARD}/Capulet", type="unavailable", role="none")
    assert await juliet.is_in(ORCHARD, "Juliet")
    print("   nicks changed, refused, shared: ok", flush=True)
    return tybalt


async def again(juliet):
    """Who believes to be out and enters again is told everything again, and nobody else is bothered."""
    _own, told, people, _history = await juliet.enter(ORCHARD, "Juliet", maxstanzas=0)
    assert told["subject"] == "The east" and {each["from"].resource for each in people} == {"Romeo", "Juliet", "Nurse"}, people
    print("   entered again while in: ok", flush=True)


async def rule(romeo, juliet, nurse, tybalt):
    """§8.2, §9.1: kicked may come back, banned may not; addresses decide, not nicks."""
    await tybalt.enter(ORCHARD, "Tybalt", maxstanzas=0)
    await refused(juliet.muc.set_role(ORCHARD, "Tybalt", "none"), "forbidden", "not-allowed")
    await romeo.muc.set_role(ORCHARD, "Tybalt", "none", reason="O calm")
    await tybalt.sees(f"{ORCHARD}/Tybalt", 110, 307, type="unavailable", role="none", reason="O calm")
    await nurse.sees(f"{ORCHARD}/Tybalt", 307, type="unavailable", role="none")
    assert not await tybalt.is_in(ORCHARD, "Tybalt")
    await tybalt.enter(ORCHARD, "Prince of cats", maxstanzas=0)
    await refused(romeo.muc.set_affiliation(ORCHARD, "none", jid=ROMEO), "conflict")  # the last owner (§10.7)
    await romeo.muc.set_affiliation(ORCHARD, "outcast", jid=TYBALT, reason="Villain")
    await tybalt.sees(f"{ORCHARD}/Prince of cats", 110, 301, type="unavailable", affiliation="outcast", reason="Villain")
    await juliet.sees(f"{ORCHARD}/Prince of cats", 301, type="unavailable", affiliation="outcast")
    await refused(tybalt.enter(ORCHARD, "Tybalt"), "forbidden", kind="auth")
    assert await romeo.members(ORCHARD, "outcast") == {"outcast": {TYBALT}}
    await refused(juliet.members(ORCHARD, "outcast"), "forbidden")
    await romeo.muc.set_affiliation(ORCHARD, "none", jid=TYBALT)
    await tybalt.enter(ORCHARD, "Tybalt", maxstanzas=0)
    print("   kicked and banned: ok", flush=True)


async def voice(romeo, juliet, tybalt):
    """§8.3, §8.6: who has none asks for it."""
    await romeo.configure(ORCHARD, moderatedroom=True)
    await romeo.muc.set_role(ORCHARD, "Tybalt", "visitor")
    await tybalt.sees(f"{ORCHARD}/Tybalt", 110, role="visitor")
    tybalt.say(ORCHARD, "What, drawn?")
    await tybalt.gets("message", ORCHARD, condition="forbidden")
    tybalt.muc.request_voice(ORCHARD, "participant")
    asked = await romeo.gets("message", ORCHARD, has=["{jabber:x:data}x"])
    fields = {field.get("var"): field.findtext("{jabber:x:data}value") for field in asked.xml.iter("{jabber:x:data}field")}
    assert fields["FORM_TYPE"] == f"{MUC}#request" and fields["muc#roomnick"] == "Tybalt", fields
    answer = romeo.make_message(ORCHARD)
    form = answer["form"]
    form["type"] = "submit"
    for var, value in {**fields, "muc#request_allow": "true"}.items():
        form.add_field(var=var, value=value)
    answer.send()
    await tybalt.sees(f"{ORCHARD}/Tybalt", 110, role="participant")
    tybalt.say(ORCHARD, "Peace? I hate the word")
    await juliet.hears(f"{ORCHARD}/Tybalt", "Peace? I hate the word")
    print("   voice taken, asked for and given: ok", flush=True)


async def members(server, romeo, juliet, nurse, tybalt):
    """§9.3, §7.8.2: only members stay; who is invited is one, also while away."""
    await romeo.muc.set_affiliation(ORCHARD, "member", jid=JULIET)
    await juliet.sees(f"{ORCHARD}/Juliet", 110, affiliation="member")
    await romeo.configure(ORCHARD, membersonly=True)
    for person, nick in ((tybalt, "Tybalt"), (nurse, "Nurse")):
        await person.sees(f"{ORCHARD}/{nick}", 110, 322, type="unavailable", role="none")
        await juliet.sees(f"{ORCHARD}/{nick}", 322, type="unavailable")
    await refused(tybalt.enter(ORCHARD, "Tybalt"), "registration-required", kind="auth")
    await refused(tybalt.room_archive(ORCHARD), "forbidden")
    await nurse.go()
    romeo.muc.invite(ORCHARD, NURSE, reason="Commend me")
    await settled(romeo)
    assert await romeo.members(ORCHARD, "owner", "member") == {"owner": {ROMEO}, "member": {JULIET, NURSE}}
    nurse = await come(server, "nurse", "street")
    invitation = await nurse.gets("message", ORCHARD, has=[f"{{{USER}}}invite"])
    told = invitation.xml.find(f"{{{USER}}}x/{{{USER}}}invite")
    assert told.findtext(f"{{{USER}}}reason") == "Commend me" and told.get("from"), invitation
    await nurse.enter(ORCHARD, "Nurse", maxstanzas=0)
    await romeo.muc.set_affiliation(ORCHARD, "none", jid=NURSE)
    await nurse.sees(f"{ORCHARD}/Nurse", 110, 321, type="unavailable", role="none")
    await romeo.sees(f"{ORCHARD}/Nurse", 321, type="unavailable")
    print("   members only, invited while away, no member any more: ok", flush=True)
    return nurse


async def password(romeo, tybalt):
    """§7.2.6."""
    protected = {"passwordprotectedroom"} & set(await romeo.configuration(ORCHARD))
    await romeo.configure(ORCHARD, membersonly=False, roomsecret="cockatrice", **dict.fromkeys(protected, True))
    await refused(tybalt.enter(ORCHARD, "Tybalt"), "not-authorized", kind="auth")
    await refused(tybalt.enter(ORCHARD, "Tybalt", password="basilisk"), "not-authorized", kind="auth")
    await tybalt.enter(ORCHARD, "Tybalt", password="cockatrice", maxstanzas=0)
    assert "muc_passwordprotected" in (await tybalt.room_info(ORCHARD))[0]
    await romeo.configure(ORCHARD, roomsecret="", **dict.fromkeys(protected, False))
    print("   a password: ok", flush=True)


async def reserved(romeo, juliet):
    """§10.1.3: to order; a change of who sees addresses is told to all (§10.2.1)."""
    await romeo.create(CELL, "Romeo", roomname="Friar Laurence's cell", roomdesc="Herbs", persistentroom=True, publicroom=False,
                       membersonly=True, whois="anyone")
    await romeo.gets("message", CELL, type="groupchat", has=[status(104)])
    for whois, code in (("moderators", 173), ("anyone", 172)):
        await romeo.configure(CELL, whois=whois)
        await romeo.gets("message", CELL, type="groupchat", has=[status(code)])
    features, form, identities = await romeo.room_info(CELL)
    assert {"muc_persistent", "muc_hidden", "muc_membersonly", "muc_nonanonymous"} <= features, features
    assert "Friar Laurence's cell" in {each[3] for each in identities}, identities
    assert form["muc#roominfo_description"] == "Herbs", form
    listed = await juliet.plugin["xep_0030"].get_items(SERVICE, local=False)
    assert CELL not in {str(jid) for jid, _node, _name in listed["disco_items"]["items"]}, "a hidden room is shown"
    await romeo.muc.send_affiliation_list(CELL, [(JULIET, "member"), (NURSE, "admin")])
    for jid, affiliation in ((JULIET, "member"), (NURSE, "admin")):  # of who is not in (§9.3)
        await romeo.gets("message", CELL, jid=jid, affiliation=affiliation)
    await juliet.gets("message", CELL, has=[f"{{{USER}}}invite"])  # a new member's (§9.3)
    own, _subject, people, _history = await juliet.enter(CELL, "Juliet")
    assert own["muc"]["status_codes"] == {100, 110}, own
    assert {str(each["muc"]["jid"]) for each in people} == {romeo.boundjid.full, juliet.boundjid.full}, people
    assert await juliet.members(CELL, "owner", "admin", "member") == {"owner": {ROMEO}, "admin": {NURSE}, "member": {JULIET}}
    await refused(juliet.muc.get_room_config(CELL), "forbidden", kind="auth")
    print("   a room to order, addresses shown, its members told: ok", flush=True)


async def moderate(romeo, juliet):
    """XEP-0425: also to who was away, by the archive."""
    if MODERATE not in (await romeo.room_info(CELL))[0]:
        return print("   no moderation here", flush=True)
    juliet.say(CELL, "O happy dagger")
    name, _occupant = ids(await romeo.hears(f"{CELL}/Juliet", "O happy dagger"), CELL)
    await refused(juliet.plugin["xep_0425"].moderate(JID(CELL), name), "forbidden")
    await romeo.plugin["xep_0425"].moderate(JID(CELL), name, reason="Not yet")
    for person in (romeo, juliet):
        told = await person.gets("message", CELL, type="groupchat", has=[f"{{{RETRACT}}}retract/{{{MODERATE}}}moderated"])
        assert told["retract"]["id"] == name and told["retract"]["moderated"]["by"] == f"{CELL}/Romeo", told
    stored = await juliet.room_archive(CELL)
    assert "O happy dagger" not in [each["body"] for each in stored.values()], "a tombstone still speaks"
    assert any(each["retract"]["id"] == name for each in stored.values()), "who is away never hears of it"
    print("   moderated: ok", flush=True)


async def destroy(romeo, juliet):
    """§10.9."""
    await romeo.create(TOMB, "Romeo", membersonly=False)
    await juliet.enter(TOMB, "Juliet")
    await refused(juliet.muc.destroy(TOMB), "forbidden", kind="auth")
    await romeo.muc.destroy(TOMB, reason="Thus with a kiss", altroom=CELL)
    for person, nick in ((romeo, "Romeo"), (juliet, "Juliet")):
        told = await person.gets("presence", f"{TOMB}/{nick}", type="unavailable", has=[f"{{{USER}}}destroy"])
        end = told.xml.find(f"{{{USER}}}x/{{{USER}}}destroy")
        assert end.get("jid") == CELL and end.findtext(f"{{{USER}}}reason") == "Thus with a kiss", told
    await refused(juliet.room_info(TOMB), "item-not-found", "gone")
    print("   destroyed: ok", flush=True)


async def kill_under_load(server, romeo, juliet):
    """Who got it back has it for good: the message in the archive once, the room as it was set, its people's rights."""
    before = await romeo.configuration(CELL)
    acknowledged, enough = [], asyncio.Event()

    async def load():
        for number in itertools.count():
            romeo.say(CELL, f"load {number}")
            await romeo.hears(f"{CELL}/Romeo", f"load {number}")
            acknowledged.append(f"load {number}")
            if number == 50:
                enough.set()

    task = asyncio.ensure_future(load())
    await asyncio.wait_for(enough.wait(), TIMEOUT)
    server.kill()
    task.cancel()
    for person in (romeo, juliet):
        person.abort()
    await asyncio.gather(task, return_exceptions=True)
    server.start()
    romeo = await come(server, "romeo", "morning")
    own, _subject, people, _history = await romeo.enter(CELL, "Romeo", maxstanzas=0)
    assert 201 not in own["muc"]["status_codes"] and own["muc"]["affiliation"] == "owner" and len(people) == 1, (own, people)
    bodies = [each["body"] for each in (await romeo.room_archive(CELL)).values()]
    missing = [body for body in acknowledged if bodies.count(body) != 1]
    assert not missing, f"lost or doubled: {missing[:5]} of {len(acknowledged)}"
    assert await romeo.configuration(CELL) == before
    assert await romeo.members(CELL, "owner", "admin", "member") == {"owner": {ROMEO}, "admin": {NURSE}, "member": {JULIET}}
    await romeo.go()
    print(f"   {len(acknowledged)} acknowledged messages and the room itself after SIGKILL: ok", flush=True)


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse", "tybalt"):
            server.user_add(name, f"secret of {name}")
        romeo, juliet, nurse, tybalt = [await come(server, name, "room") for name in ("romeo", "juliet", "nurse", "tybalt")]
        await found(romeo)
        await instant(romeo, juliet)
        name, room_id, other = await talk(romeo, juliet, tybalt)
        await change(romeo, juliet, name, room_id, other)
        await history(romeo, nurse)
        await archive(romeo, juliet, tybalt)
        await subject(romeo, juliet, nurse)
        await private(romeo, juliet, nurse)
        street = await nicks(server, romeo, juliet, nurse)
        await again(juliet)
        await rule(romeo, juliet, nurse, street)
        await voice(romeo, juliet, street)
        nurse = await members(server, romeo, juliet, nurse, street)
        await password(romeo, street)
        await reserved(romeo, juliet)
        await moderate(romeo, juliet)
        await destroy(romeo, juliet)
        for person in (nurse, tybalt, street):
            await person.go()
        await kill_under_load(server, romeo, juliet)
        server.stop()


logging.basicConfig(level=logging.ERROR)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # clients of a killed server leave tasks behind
asyncio.run(main(sys.argv[1]))
