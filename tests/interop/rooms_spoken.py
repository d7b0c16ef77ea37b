"""What Monal (2024) and Converse (2026) say to make rooms and to live in them, by slixmpp: a group that Monal makes enters twice and
has a picture with a mistake in it; Converse takes a room as it comes, registers its nick, and finds out whether it is still in.

usage: rooms_spoken.py BINARY"""
import asyncio
import base64
import hashlib
import logging
import sys

from occupant import MUC, SERVICE, USER, ids, refused
from pictures import PNG
from server import Server
from spoken import DATA, Spoken, value_of

GROUP, HALL = f"soduro@{SERVICE}", f"hall@{SERVICE}"
MAM, REGISTER = "urn:xmpp:mam:2", "jabber:iq:register"
MANDATORY = {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_membersonly": "1", "muc#roomconfig_whois": "anyone"}
OPTIONAL = {"muc#roomconfig_enablelogging": "0", "muc#roomconfig_changesubject": "0", "muc#roomconfig_allowinvites": "0",
            "muc#roomconfig_getmemberlist": "participant", "muc#roomconfig_publicroom": "0", "muc#roomconfig_moderatedroom": "0",
            "muc#maxhistoryfetch": "0"}


async def monal_makes(monal):
    """MLMucProcessor: 201 and 110 together, all mandatory fields there, or it gives up; then it enters as if it had not."""
    monal.send_raw(f"<presence to='{GROUP}/romeo'><x xmlns='{MUC}'/></presence>")
    code = f"{{{USER}}}x/{{{USER}}}status[@code='%d']"
    await monal.gets("presence", f"{GROUP}/romeo", has=[code % 110, code % 201])
    form = await monal.form(GROUP)
    fields = list(form.iterfind(f"{{{DATA}}}field"))
    missing = set(MANDATORY) - {field.get("var") for field in fields}
    assert not missing, f"it gives up: {missing}"
    await monal.submits(GROUP, [value_of(field, (OPTIONAL | MANDATORY)[field.get("var")]) if field.get("var") in OPTIONAL | MANDATORY
                                else field for field in fields])
    _identities, features, _form = await monal.info(GROUP)
    assert {MUC, "muc_membersonly", "muc_nonanonymous"} <= features, features
    monal.join(GROUP, "maxstanzas='0'")
    own = await monal.gets("presence", f"{GROUP}/romeo", has=[code % 110])
    assert 201 not in own["muc"]["status_codes"], own
    await monal.gets("message", GROUP, type="groupchat", has=["{jabber:client}subject"])
    for affiliation in ("outcast", "member", "admin", "owner"):
        await monal.asks("get", GROUP, f"<query xmlns='{MUC}#admin'><item affiliation='{affiliation}'/></query>")
    await monal.asks("set", GROUP, f"<query xmlns='{MUC}#admin'><item affiliation='member' jid='juliet@localhost'/></query>")
    monal.send_raw(f"<message to='juliet@localhost' type='normal'><x xmlns='jabber:x:conference' jid='{GROUP}'/>"
                   "<store xmlns='urn:xmpp:hints'/></message>")
    await monal.submits(GROUP, [value_of(field, "Nightingales") if field.get("var") == "muc#roomconfig_roomname" else field
                                for field in (await monal.form(GROUP)).iterfind(f"{{{DATA}}}field")])
    await monal.gets("message", GROUP, type="groupchat", codes={104})
    print("   Monal makes a group, enters it again, names it: ok", flush=True)


async def monal_invites(server):
    """Directly; who is invited enters."""
    juliet = await Spoken(server, "juliet", "Monal-iOS.1").come()
    await juliet.gets("message", "romeo@localhost/Monal-iOS.1", has=["{jabber:x:conference}x"])
    await juliet.info(GROUP)
    juliet.join(GROUP, "maxstanzas='0'")
    await juliet.gets("message", GROUP, type="groupchat", has=["{jabber:client}subject"])
    return juliet


async def monal_shows(monal, juliet):
    """The type of its picture is in the wrong element; whoever comes is told of the picture (XEP-0486)."""
    if "vcard-temp" not in (await monal.info(GROUP))[1]:
        print("   no pictures of rooms here", flush=True)
        return
    code = base64.b64encode(PNG).decode()
    digest = hashlib.sha1(PNG).hexdigest()
    await monal.asks("set", GROUP, f"<vCard xmlns='vcard-temp'><PHOTO><PHOTO>image/png</PHOTO><BINVAL>{code}</BINVAL></PHOTO></vCard>")
    juliet.join(GROUP, "maxstanzas='0'")
    await juliet.gets("message", GROUP, type="groupchat", has=["{jabber:client}subject"])
    _identities, _features, form = await juliet.info(GROUP)
    shown = [each.xml.findtext("{vcard-temp:x:update}x/{vcard-temp:x:update}photo") for each in juliet.kept if each["from"] == GROUP]
    assert digest in (*shown, form.get("muc#roominfo_avatarhash")), (shown, form)
    vcard = await juliet.asks("get", GROUP, "<vCard xmlns='vcard-temp'/>")
    assert "".join(vcard.find(".//{vcard-temp}BINVAL").text.split()) == code
    await refused(juliet.asks("set", GROUP, "<vCard xmlns='vcard-temp'/>"), "forbidden")
    print("   a picture as Monal sends it: ok", flush=True)


async def monal_catches_up(monal, juliet):
    """By the last id it knows; the first time it looks which that is."""
    async def query(form, rest):
        query = (f"<query xmlns='{MAM}' queryid='q'><x xmlns='{DATA}' type='submit'><field var='FORM_TYPE' type='hidden'><value>{MAM}</value>"
                 f"</field>{form}</x><set xmlns='http://jabber.org/protocol/rsm'>{rest}</set></query>")
        await juliet.asks("set", GROUP, query)
        found = [each for each in juliet.kept if each.xml.find(f"{{{MAM}}}result") is not None]
        juliet.kept = [each for each in juliet.kept if each not in found]
        return [(each["mam_result"]["id"], each["mam_result"]["forwarded"]["stanza"]["body"]) for each in found]

    monal.say(GROUP, "It was the nightingale")
    name, _occupant = ids(await juliet.hears(f"{GROUP}/romeo", "It was the nightingale"), GROUP)
    end = "<field var='end'><value>2999-01-01T00:00:00Z</value></field>"
    assert await query(end, "<max>1</max><before/>") == [(name, "It was the nightingale")]
    assert await query("", f"<max>50</max><after>{name}</after>") == []
    monal.say(GROUP, "and not the lark")
    await juliet.hears(f"{GROUP}/romeo", "and not the lark")
    assert [body for _name, body in await query("", f"<max>50</max><after>{name}</after>")] == ["and not the lark"]
    print("   Monal catches up: ok", flush=True)


async def converse(server, romeo):
    """muc.js: it takes a room as it comes by a form without a type, asks what the room is right behind its presence."""
    web = await Spoken(server, "nurse", "converse.js-1").come()
    await refused(web.info(HALL), "item-not-found")
    web.join(HALL, "maxstanzas='0'")
    await web.info(HALL)
    await web.gets("presence", f"{HALL}/nurse", has=[f"{{{USER}}}x/{{{USER}}}status[@code='201']"])
    await web.submits(HALL, [])
    identities, features, _form = await web.info(HALL)
    assert ("conference", "text") in identities, identities
    if f"{MUC}#register" in features:
        await web.asks("get", HALL, f"<query xmlns='{REGISTER}'/>")
        await web.asks("set", HALL, f"<query xmlns='{REGISTER}'><x xmlns='{DATA}' type='submit'><field var='FORM_TYPE'>"
                                    f"<value>{MUC}#register</value></field><field var='muc#register_roomnick'><value>nurse</value></field></x></query>")
        await refused(romeo.asks("get", HALL, f"<query xmlns='{REGISTER}'/>"), "registration-required", "not-allowed", "forbidden")
    # With its settings, for which it sends the form back with its choices.
    await web.submits(HALL, [value_of(field, "0") if field.get("var") == "muc#roomconfig_membersonly" else field
                             for field in (await web.form(HALL)).iterfind(f"{{{DATA}}}field")])
    assert "muc_open" in (await web.info(HALL))[1]
    assert await web.is_in(HALL, "nurse")
    web.send_raw(f"<presence to='{HALL}/nurse' type='unavailable'/>")
    await web.sees(f"{HALL}/nurse", 110, type="unavailable")
    assert not await web.is_in(HALL, "nurse")
    web.join(HALL, "maxstanzas='0'")
    await web.gets("presence", f"{HALL}/nurse", affiliation="owner")
    await web.asks("set", HALL, f"<query xmlns='{MUC}#owner'><destroy jid='{GROUP}'><reason>It is late</reason></destroy></query>")
    await web.gets("presence", f"{HALL}/nurse", type="unavailable", has=[f"{{{USER}}}x/{{{USER}}}destroy"])
    await web.go()
    print("   Converse makes a room, registers, leaves, returns, ends it: ok", flush=True)


async def main(binary):
    with Server(binary) as server:
        for name in ("romeo", "juliet", "nurse"):
            server.user_add(name, f"secret of {name}")
        romeo = await Spoken(server, "romeo", "Monal-iOS.1").come()
        await monal_makes(romeo)
        juliet = await monal_invites(server)
        await monal_shows(romeo, juliet)
        await monal_catches_up(romeo, juliet)
        await converse(server, romeo)
        for person in (romeo, juliet):
            await person.go()
        server.stop()


logging.basicConfig(level=logging.ERROR)
asyncio.run(main(sys.argv[1]))
