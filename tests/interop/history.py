"""A conversation in which slixmpp corrects (XEP-0308), takes back (XEP-0424), reacts (XEP-0444), answers (XEP-0461) and marks as
read (XEP-0333), while one device is away for long. It draws what the others see from the archive alone (XEP-0313), page by page:
with completed pages, collated ones (XEP-0427), and as a client does that knows of neither. Then what is found by its words
(XEP-0431), the inbox (XEP-0430), SIGKILL; and what was taken back is nowhere in the database's file.

usage: history.py BINARY"""
import asyncio
import os
import subprocess
import sys
import time

from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from client import TIMEOUT, Client, befriend
from server import Server

MAM, RSM, DATA, OURS = ("urn:xmpp:mam:2", "http://jabber.org/protocol/rsm", "jabber:x:data", "urn:stonechat:archive:0")
COLLATED, SEARCH, INBOX = "urn:xmpp:mamfc:0", "urn:xmpp:fulltext:0", "urn:xmpp:inbox:1"
CORRECT, RETRACT, REACT = "urn:xmpp:message-correct:0", "urn:xmpp:message-retract:1", "urn:xmpp:reactions:0"
FORWARD, STANZA, MARKERS = "urn:xmpp:forward:0", "{jabber:client}", "urn:xmpp:chat-markers:0"
PLUGINS = ("xep_0308", "xep_0424", "xep_0444", "xep_0461", "xep_0333", "xep_0184")
FILLER = 60
ROMEO, JULIET = "romeo@localhost", "juliet@localhost"
SECRET = "mandragora"


class Person(Client):
    def __init__(self, server, name, resource):
        super().__init__(server, name, resource)
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.results, self.entries = [], []
        self.register_handler(Callback("result", MatchXPath(f"{STANZA}message/{{{MAM}}}result"), self.on_result))

    def on_result(self, message):
        entry = message.xml.find(f"{{{INBOX}}}entry")
        if entry is not None:
            self.entries.append(entry)
        self.results.append(message.xml.find(f"{{{MAM}}}result"))

    def says(self, to, text, ident):
        message = self.make_message(to, text, mtype="chat")
        message["id"] = ident
        message["origin_id"]["id"] = ident
        message.send()

    async def settled(self):
        await self.plugin["xep_0199"].ping(timeout=TIMEOUT)

    async def page(self, fields=None, **paging):
        """The results, and what is said of the page."""
        self.results = []
        query = ET.Element(f"{{{MAM}}}query", {"queryid": "q"})
        form = ET.SubElement(query, f"{{{DATA}}}x", {"type": "submit"})
        for name, value in {"FORM_TYPE": MAM, **(fields or {})}.items():
            ET.SubElement(ET.SubElement(form, f"{{{DATA}}}field", {"var": name}), f"{{{DATA}}}value").text = value
        rsm = ET.SubElement(query, f"{{{RSM}}}set")
        for name, value in {"max": "20", **paging}.items():
            ET.SubElement(rsm, f"{{{RSM}}}{name}").text = value
        answer = await self.make_iq_set(query, ito=self.boundjid.bare).send(timeout=TIMEOUT)
        return self.results, answer.xml.find(f"{{{MAM}}}fin")

    async def pages(self, fields=None):
        """All of them, from the oldest."""
        paging = {}
        while True:
            results, fin = await self.page(fields, **paging)
            yield results
            if fin.get("complete") == "true":
                return
            paging = {"after": fin.findtext(f"{{{RSM}}}set/{{{RSM}}}last")}


def stanza_of(result):
    return result.find(f"{{{FORWARD}}}forwarded/{STANZA}message")


class Drawn:
    """What a screen shows: per message its text as it stands, and who reacted how."""

    def __init__(self):
        self.by_id, self.by_name = {}, {}

    def add(self, result, about=None):
        stanza = stanza_of(result)
        sender = stanza.get("from").split("/")[0]
        replaced, retracted, reacted = (stanza.find(f"{{{space}}}{name}") for space, name in
                                        ((CORRECT, "replace"), (RETRACT, "retract"), (REACT, "reactions")))
        done = next((each for each in (replaced, retracted, reacted) if each is not None), None)
        if done is not None:
            target = self.by_id.get(about) if about else self.by_name.get(done.get("id"))
            if target is None:
                return
            if reacted is not None:
                target["reactions"][sender] = sorted(each.text for each in reacted)
            elif sender == target["from"]:
                target["text"] = None if retracted is not None else stanza.findtext(f"{STANZA}body")
            return
        tombstone = stanza.find(f"{{{RETRACT}}}retracted")
        text = stanza.findtext(f"{STANZA}body")
        if text is None and tombstone is None:
            return
        shown = {"from": sender, "text": None if tombstone is not None else text, "reactions": {}}
        self.by_id[result.get("id")] = self.by_name[stanza.get("id")] = shown

    def screen(self):
        shown = self.by_id.values()
        return [(each["from"], each["text"], {who: how for who, how in each["reactions"].items() if how})
                for each in shown if each["text"] is not None]


async def conversation(romeo, juliet):
    """The truth: what both see at the end."""
    romeo.says(JULIET, "Shal I hear more?", "r1")
    await romeo.settled()
    juliet.says(ROMEO, "O Romeo, Romeo!", "j1")
    await juliet.settled()
    romeo.says(JULIET, f"Give me {SECRET}, that I might sleep", "r2")
    await romeo.settled()
    for n in range(FILLER):
        who, to = (romeo, JULIET) if n % 2 else (juliet, ROMEO)
        who.says(to, f"and so on, {n}", f"f{n}")
        await who.settled()
    fix = romeo.plugin["xep_0308"]
    for text in ("Shall I hear more", "Shall I hear more, or shall I speak at this?"):
        correction = fix.build_correction("r1", JULIET, mbody=text)
        correction["type"] = "chat"
        correction.send()
    # Who did not write it corrects nothing, whatever a client says.
    forged = juliet.plugin["xep_0308"].build_correction("r1", ROMEO, mbody="I am a fool")
    forged["type"] = "chat"
    forged.send()
    romeo.plugin["xep_0424"].send_retraction(JULIET, "r2", include_fallback=True)
    for who, to, how in ((juliet, ROMEO, "❤"), (romeo, JULIET, "👍"), (juliet, ROMEO, "🌹")):
        who.plugin["xep_0444"].send_reactions(to, "f3", [how])
        await who.settled()
    juliet.plugin["xep_0444"].send_reactions(ROMEO, "j1", ["❤"])
    juliet.plugin["xep_0444"].send_reactions(ROMEO, "j1", [])
    answer = juliet.plugin["xep_0461"].make_reply(romeo.boundjid.full, "r1", mto=ROMEO, mbody="Thou hast heard enough", mtype="chat")
    answer["id"] = "j2"
    answer.send()
    await asyncio.gather(romeo.settled(), juliet.settled())
    truth = [(ROMEO, "Shall I hear more, or shall I speak at this?", {}), (JULIET, "O Romeo, Romeo!", {})]
    truth += [(ROMEO if n % 2 else JULIET, f"and so on, {n}", {JULIET: ["🌹"], ROMEO: ["👍"]} if n == 3 else {}) for n in range(FILLER)]
    return truth + [(JULIET, "Thou hast heard enough", {})]


async def drawn_plainly(phone):
    """By who knows XEP-0313 alone, and reads all of it."""
    drawn = Drawn()
    async for results in phone.pages():
        for result in results:
            assert result.find(f"{{{OURS}}}about") is None and result.find(f"{{{COLLATED}}}applied") is None
            drawn.add(result)
    return drawn.screen()


async def drawn_by_page(phone, fields):
    """Each page by itself, as a screen that knows no other page; and newest first."""
    screens, paging = [], {"before": ""}
    while True:
        results, fin = await phone.page(fields, **paging)
        drawn = Drawn()
        for result in results:
            about = result.find(f"{{{OURS}}}about")
            drawn.add(result, about.get("id") if about is not None else None)
        screens.insert(0, drawn.screen())
        if fin.get("complete") == "true":
            return [line for screen in screens for line in screen]
        paging = {"before": fin.findtext(f"{{{RSM}}}set/{{{RSM}}}first")}


async def collated(phone, truth):
    """One result for each message, with what was done to it."""
    shown = []
    async for results in phone.pages({f"{{{COLLATED}}}summary": "collate"}):
        for result in results:
            stanza = stanza_of(result)
            # What only claims to correct is a message of its own.
            if stanza is None or any(stanza.find(tag) is not None for tag in (f"{{{RETRACT}}}retracted", f"{{{CORRECT}}}replace")):
                continue
            text, reactions = stanza.findtext(f"{STANZA}body"), []
            for applied in result.iterfind(f"{{{COLLATED}}}applied"):
                what = next(iter(applied))
                if what.tag == f"{{{REACT}}}reactions":
                    reactions += [(each.text, int(applied.get("count", 1))) for each in what]
            shown.append((stanza.get("from").split("/")[0], text, sorted(reactions)))
    assert len(shown) == len(truth), f"{len(shown)} instead of {len(truth)}"
    for (sender, text, reactions), (who, now, how) in zip(shown, truth):
        assert sender == who and len(reactions) == len(how), (sender, text, reactions)
        assert text == now or text == "Shal I hear more?", text


async def found(phone):
    for words, expected in (("shall speak", 1), ("SHALL spe", 1), ("nothing such", 0), (SECRET, 0), ("romeo", 1)):
        results, _fin = await phone.page({f"{{{SEARCH}}}fulltext": words})
        assert len(results) == expected, (words, [ET.tostring(each) for each in results])
    results, fin = await phone.page({f"{{{SEARCH}}}fulltext": "and so on", "with": ROMEO}, max="10")
    assert len(results) == 10 and fin.get("complete") != "true", ET.tostring(fin)


async def inbox(phone, unread):
    phone.entries = []
    query = ET.Element(f"{{{INBOX}}}inbox")
    await phone.make_iq_get(ito=phone.boundjid.bare).append(query).send(timeout=TIMEOUT)
    found = [(entry.get("jid"), entry.get("unread")) for entry in phone.entries]
    assert found == [(ROMEO, unread)], found


async def main(server):
    romeo = await Person(server, "romeo", "orchard").come()
    juliet = await Person(server, "juliet", "balcony").come()
    await befriend(romeo, juliet)
    truth = await conversation(romeo, juliet)
    print("   corrected, taken back, reacted, answered: ok", flush=True)
    for life in ("while it runs", "after SIGKILL"):
        phone = await Person(server, "juliet", "phone").come()
        shown = await drawn_plainly(phone)
        assert shown == truth, [pair for pair in zip(shown, truth) if pair[0] != pair[1]]
        print(f"   {life}: drawn by who knows the archive alone: ok", flush=True)
        shown = await drawn_by_page(phone, {f"{{{OURS}}}complete": "true"})
        assert shown == truth, [pair for pair in zip(shown, truth) if pair[0] != pair[1]]
        print(f"   {life}: drawn from each page by itself: ok", flush=True)
        await collated(phone, truth)
        print(f"   {life}: collated: ok", flush=True)
        await found(phone)
        print(f"   {life}: found by its words: ok", flush=True)
        if life == "while it runs":
            # What she answered says that she read what was before.
            await inbox(phone, "0")
            romeo.says(JULIET, "I take thee at thy word", "r3")
            await romeo.settled()
            await inbox(phone, "1")
            juliet.plugin["xep_0333"].send_marker(ROMEO, "r3", "displayed")
            await juliet.settled()
            await inbox(phone, "0")
            truth.append((ROMEO, "I take thee at thy word", {}))
            print("   the inbox counts what is new, on every device: ok", flush=True)
            server.kill()
            server.start()
            for gone in (romeo, juliet, phone):
                gone.abort()
    await phone.go()


def swept(server):
    """What was taken back is in no page of the file, used or free, nor in the journal beside it."""
    server.stop()
    content = b""
    for end in ("", ".journal"):
        with open(os.path.join(server.data, "stonechat.redb" + end), "rb") as file:
            content += file.read()
    assert b"and so on, 7" in content and SECRET.encode() not in content, "what was taken back is in the file"
    listed = subprocess.run([server.binary, "archive", "search", "juliet", SECRET, "--data", server.data],
                            text=True, capture_output=True, check=True).stdout
    assert SECRET not in listed, listed
    print("   and nowhere in the file what was taken back: ok", flush=True)


with Server(sys.argv[1]) as server:
    for name in ("romeo", "juliet"):
        server.user_add(name, f"secret of {name}")
    asyncio.run(asyncio.wait_for(main(server), 90))
    time.sleep(0.2)
    swept(server)
