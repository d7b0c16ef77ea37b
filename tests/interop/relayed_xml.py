"""Is what the server passes on read by everybody, and as the same thing?

Stanzas are made by grammar and by mutation. What the strict pass lets through must be read by expat (with the marks between
namespace and name of ElementTree, pulldom, Prosody and ejabberd) and by libxml2 (lxml: whole, and byte by byte through its
push parser), all with the same names, namespaces, values and text. What it neither takes nor refuses must be something
that can still become a stanza.

usage: relayed_xml.py BINARY [--runs N] [--seconds S] [--seed S] [--shrink]      (BINARY is not needed: the library is asked)"""
import argparse
import collections
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
from xml.parsers import expat

from lxml import etree

sys.setrecursionlimit(20000)
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
STREAM = ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
          " xmlns:hp='urn:hp' to='localhost' version='1.0'>")
HEADER = STREAM.encode()

# ---- readers ----------------------------------------------------------------------------------------------------

class Refused(Exception):
    pass


def canonical(events):
    """Events as lines, text joined."""
    lines, text = [], []
    for kind, *rest in events:
        if kind == "text":
            text.append(rest[0])
            continue
        if any(text):
            lines.append(f"text {''.join(text)!r}")
        text = []
        if kind == "start":
            name, attributes = rest
            lines.append(f"start {name}" + "".join(f" {key}={value!r}" for key, value in sorted(attributes)))
        else:
            lines.append(kind)
    return tuple(lines)


def clark(name, separator):
    namespace, found, local = name.rpartition(separator)
    return f"{{{namespace}}}{local}"


def read_expat(document, separator, final=True):
    parser = expat.ParserCreate("utf-8", separator)
    parser.ordered_attributes = True
    events = []

    def start(name, attributes):
        pairs = zip(attributes[::2], attributes[1::2])
        events.append(("start", clark(name, separator), [(clark(key, separator), value) for key, value in pairs]))

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: events.append(("end",))
    parser.CharacterDataHandler = lambda text: events.append(("text", text))
    parser.CommentHandler = lambda text: events.append(("comment",))
    parser.ProcessingInstructionHandler = lambda target, data: events.append(("instruction",))
    try:
        parser.Parse(document, False)
        if final:
            parser.Parse(b"", True)
    except (expat.ExpatError, ValueError) as error:
        raise Refused(str(error)) from None
    return canonical(events)


def read_libxml2(document, chunk):
    parser = etree.XMLParser()
    try:
        for at in range(0, len(document), chunk):
            parser.feed(document[at:at + chunk])
        root = parser.close()
    except (etree.XMLSyntaxError, ValueError, AssertionError) as error:
        raise Refused(str(error)) from None
    events = []

    def named(name):
        return name if name.startswith("{") else "{}" + name

    def walk(element):
        if not isinstance(element.tag, str):
            events.append(("other",))
            return
        events.append(("start", named(element.tag), [(named(key), value) for key, value in element.attrib.items()]))
        events.append(("text", element.text or ""))
        for child in element:
            walk(child)
            events.append(("text", child.tail or ""))
        events.append(("end",))

    walk(root)
    return canonical(events)


READERS = {
    "expat }": lambda document: read_expat(document, "}"),
    "expat space": lambda document: read_expat(document, " "),
    "expat \\1": lambda document: read_expat(document, "\1"),
    "expat \\n": lambda document: read_expat(document, "\n"),
    "expat |": lambda document: read_expat(document, "|"),
    "libxml2": lambda document: read_libxml2(document, 1 << 20),
    "libxml2 bytewise": lambda document: read_libxml2(document, 1),
}


def readings(stanza):
    document = HEADER + stanza + b"<end/></stream:stream>"
    found = {}
    for name, read in READERS.items():
        try:
            found[name] = read(document)
        except Refused as refused:
            found[name] = f"{refused}"
    return found



def dead(stanza):
    """Why nothing that follows could make it well-formed, and where that is seen; or None."""
    parser = expat.ParserCreate("utf-8", "\1")
    try:
        parser.Parse(HEADER + stanza, False)
        return None
    except expat.ExpatError as error:
        return str(error), parser.ErrorByteIndex - len(HEADER)

# ---- generator --------------------------------------------------------------------------------------------------

CHARACTERS = [
    "\x7f", "\x80", "\x85", "\x9f", "\xa0", "\xad", "\u2028", "\u2029", "\u200b", "\u200e", "\u202e", "\ufeff", "\ufffd",
    "\ufdd0", "\U0001fffe", "\U0001ffff", "\U0010ffff", "\U0001f600", "\u0301", "\u1680", "\u3000", "é", "中", "\ud7ff",
    "\ue000", "\r", "\n", "\t", "\r\n", "\n\r", " ", "]", "]]", "'", '"', ">", "/", "=", ";", "#", "]]&gt;", "]]>",
]
RAW = [b"\0", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\xff", b"\xfe", b"\xc0\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
       b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x82", b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xef\xbb\xbf", b"\x80"]
NAME_CHARACTERS = [
    "a", "Z", "_", "-", ".", "0", ":", "\xb7", "\xc0", "\xd7", "\xf7", "\u0131", "\u0132", "\u013f", "\u017f", "\u01c4",
    "\u02ff", "\u0300", "\u0345", "\u0346", "\u0370", "\u037e", "\u037f", "\u0387", "\u0400", "\u0559", "\u0660", "\u06dd",
    "\u0e31", "\u1000", "\u1100", "\u1101", "\u1fff", "\u200c", "\u200d", "\u203f", "\u2040", "\u2070", "\u20d0", "\u2126",
    "\u212e", "\u2160", "\u2180", "\u218f", "\u2c00", "\u3001", "\u3005", "\u3007", "\u3021", "\u302a", "\u3031", "\u3041", "\u309b",
    "\u30fb", "\u3105", "\u3400", "\u4dbf", "\u4e00", "\u9fa5", "\u9fa6", "\ua000", "\uac00", "\ud7a3", "\ud7a4", "\uf900", "\ufdcf",
    "\ufdd0", "\ufdf0", "\ufe70", "\uff21", "\ufffd", "\U00010000", "\U00020000", "\U000effff", "\U000f0000",
    "'", '"', "=", "<", ">", "/", "&", "!", "?", "{", "}", "|", "^", "`", "~", "@", "$", "%", "+", ",", ";", "(", "\\", "[",
]
NAMESPACES = [
    "urn:a", "urn:b", "jabber:client", "http://etherx.jabber.org/streams", "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/", "", " ", "a b", " urn:a", "urn:a ", "urn:a\t", "urn:a\n", "urn:&#10;a", "urn:&#13;", "a}b", "{a", "a|b",
    "a^b", "a`b", 'a"b', "a\\b", "urn:é", "urn:%41", "%zz", "%", "a#b", "a#b#c", ":a", "1:a", "http://[", "http://a:b/", "http://a:80/",
    "http://a:99999999999/", "http://[::1]/", "http://a@b@c/", "a[b", "urn:&amp;", "urn:&lt;", "&#x75;rn:a", "urn:\U0001f600", "urn:\x7f",
    "urn:\x85", "urn:\xa0", "//", "?", "#", "a?b?c", "../a", "urn:a!$'()*+,;=", "urn:~", "a:", "urn:a/b", "1a", "http://www.w3.org/xml/1998/namespace",
    "urn:&#x20;", "urn:&#9;", "urn:\ufeff", "urn:\ufffd",
]
REFERENCES = [
    "&amp;", "&lt;", "&gt;", "&apos;", "&quot;", "&#38;", "&#x26;", "&#60;", "&#x0026;", "&#0000000000000000000000000000038;", "&#x00000000000000000041;",
    "&#13;", "&#10;", "&#9;", "&#x85;", "&#x2028;", "&#x7f;", "&#x80;", "&#x1F600;", "&#128512;", "&#xFFFD;", "&#xFFFE;", "&#xFFFF;", "&#x1FFFE;",
    "&#x10FFFF;", "&#x110000;", "&#xD800;", "&#xDFFF;", "&#xD83D;&#xDE00;", "&#0;", "&#1;", "&#x1f;", "&#x;", "&#;", "&#X41;", "&#4294967361;",
    "&#x100000041;", "&#18446744073709551681;", "&#+65;", "&#-65;", "&# 65;", "&#65 ;", "&;", "& ;", "&amp", "&nbsp;", "&AMP;", "&a:b;", "&1;", "&é;",
    "&#x4g;", "&#6a;", "&#٣;", "&lt", "&", "&&amp;", "&a-b;", "&.;", "&\u0132;",
]
VALUES = ["", "de", "en-US", "x y", "preserve", "default", "other", "1id", "id id", "a:b", "http://x/", "\n", " de ", "\u0301", "de_DE", "a" * 40]


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def odd(self, share=0.06):
        return self.rng.random() < share

    def pick(self, *choices):
        return self.rng.choice(choices)

    def name(self):
        rng = self.rng
        if not self.odd():
            return rng.choice(["a", "b", "x", "body", "p:a", "q:b", "p:x", "hp:a", "_", "a.b-c1", "é", "xmla"])
        if self.odd(0.1):
            return rng.choice(["a", "é", "中"]) * rng.choice([300, 1001, 5000, 17000, 50001, 100000])
        pick = lambda: rng.choice(NAME_CHARACTERS if self.odd(0.7) else ["a", "b", ":"])
        return "".join(pick() for _ in range(rng.choice([1, 1, 2, 2, 3, 4])))

    def white(self):
        return self.pick(" ", " ", " ", " ", "\n", "\t", "\r", "  ", "\r\n") if not self.odd(0.02) else self.pick("", "\x85", "\xa0", "\u2028", "\x0b")

    def gap(self):
        return self.white() if self.odd(0.03) else ""

    def namespace(self):
        if self.odd(0.03):
            return "u" * self.rng.choice([500, 1001, 5000, 50001, 200000])
        if self.odd(0.15):
            return self.pick("urn:", "", "http://") + "".join(chr(self.rng.choice([self.rng.randrange(32, 127), self.rng.randrange(32, 127), 0xe9])) for _ in range(4)).replace("<", "l").replace("&", "a")
        return self.rng.choice(NAMESPACES) if self.odd(0.4) else self.pick("urn:a", "urn:b")

    def characters(self):
        rng = self.rng
        text = ""
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            if self.odd(0.25):
                text += rng.choice(CHARACTERS)
            elif self.odd(0.25):
                text += rng.choice(REFERENCES) if self.odd(0.5) else self.pick("&amp;", "&lt;", "&#65;")
            else:
                text += self.pick("t", "hello", "1 2", " ")
        return text

    def quoted(self, value):
        quote = self.pick("'", "'", "'", '"')
        if self.odd(0.01):
            return value
        return quote + (value.replace(quote, "&apos;" if quote == "'" else "&quot;") if not self.odd(0.02) else value) + quote

    def attribute(self):
        rng = self.rng
        if self.odd(0.01):
            return self.pick("a", "a=", "=", "='x'", "a='x'b='y'", "a\"b='c'", "a'b=\"c\"", "a=='x'", "a='x''y'", "'x'", "a=x", "a:='x'", ":='x'", "/a='x'", "a/='x'", "a='/>'", 'a="\'"', "<a='b'", "a='<'", "a='>'", "a='x'/")
        kind = rng.random()
        if kind < 0.35:
            prefix = self.pick("", ":p", ":q", ":p", ":q", ":hp") if not self.odd(0.1) else self.pick(":xml", ":xmlns", ":", ":a:b", ":XML", ":xmlfoo", ":1", ":" + self.name())
            name, value = "xmlns" + prefix, self.namespace()
        elif kind < 0.45:
            name, value = self.pick("xml:lang", "xml:space", "xml:id", "xml:base", "xml:foo", "xml:xmlns", "xmlns:xmlns", "XML:lang"), rng.choice(VALUES)
        else:
            name, value = self.name(), self.characters()
        if self.odd(0.02):
            value += "<"
        return name + self.gap() + "=" + self.gap() + self.quoted(value)

    def element(self, depth=0):
        name = self.name()
        attributes = "".join(self.white() + self.attribute() for _ in range(self.rng.choice([0, 0, 1, 1, 2, 3])))
        if self.odd(0.01):
            attributes += "".join(f" a{number}=''" for number in range(self.rng.choice([60, 64, 65, 200])))
        if "p:" in name and self.odd(0.9):
            attributes += " xmlns:p=" + self.quoted(self.namespace())
        if "q:" in name and self.odd(0.9):
            attributes += " xmlns:q=" + self.quoted(self.namespace())
        before = self.white() if self.odd(0.004) else ""
        end = self.white() if self.odd(0.05) else ""
        if self.odd(0.3):
            return f"<{before}{name}{attributes}{end}" + ("/>" if not self.odd(0.01) else self.pick("/ >", "//>", "/", ">"))
        inner = "".join(self.content(depth + 1) for _ in range(self.rng.choice([0, 1, 1, 2, 3])))
        if self.odd(0.005):
            levels = self.rng.choice([10, 58, 62, 63, 64, 65, 300])
            inner = "<d>" * levels + inner + "</d>" * levels
        slash = "</" if not self.odd(0.004) else self.pick("</ ", "< /", "</\n")
        close = name if not self.odd(0.004) else self.name()
        return f"<{before}{name}{attributes}{end}>{inner}{slash}{close}{self.gap()}>"

    def content(self, depth):
        kind = self.rng.random()
        if kind < 0.35 and depth < 5:
            return self.element(depth)
        if kind < 0.42:
            return "<![CDATA[" + self.pick("", "x", "<a>", "&amp;", "]]", "]", "\r\n", "\r", "]]]", "> ", "&", "\x85", "]]>") + "]]>"
        if self.odd(0.01):
            return self.pick("<!---->", "<!-- x -->", "<?a b?>", "<?xml version='1.0'?>", "<!DOCTYPE a>", "<![CDATA[", "<![cdata[x]]>", "<![CDATA [x]]>", "<!>", "<>", "</>", "<", "<!ENTITY a 'b'>", "<![INCLUDE[x]]>")
        return self.characters()

    def stanza(self):
        own = "".join(self.white() + self.attribute() for _ in range(self.rng.choice([0, 0, 0, 1, 1, 2])))
        inner = "".join(self.content(1) for _ in range(self.rng.choice([1, 1, 2, 3])))
        return f"<message{own}>{inner}</message>".encode("utf-8", "surrogatepass")

    def mutate(self, data, keep):
        """Spans before `keep` are left as they are."""
        rng = self.rng
        for _ in range(rng.choice([1, 1, 2])):
            at = rng.randrange(keep, len(data)) if keep < len(data) else len(data)
            end = min(len(data), at + rng.choice([1, 1, 1, 2, 4, 9]))
            what = rng.randrange(5)
            if what == 0:
                data = data[:at] + data[end:]
            elif what == 1:
                data = data[:end] + data[at:end] + data[end:]
            elif what == 2:
                data = data[:at] + rng.choice(RAW) + data[at:]
            elif what == 3:
                token = rng.choice(CHARACTERS + NAME_CHARACTERS + REFERENCES + ["'", '"', "<", ">", "/", "=", " ", "<!", "]]>", "xmlns", "xml", ":", "/>", "</", "<x>", "<x/>", "</x>"])
                data = data[:at] + token.encode() + data[at:]
            else:
                other = rng.randrange(keep, len(data)) if keep < len(data) else at
                data = data[:at] + data[other:other + 5] + data[end:]
        return data

# ---- the strict pass, two ways ----------------------------------------------------------------------------------

CLOSERS = b"]]>" + b"</message>" * 3


class Helper:
    """tests/interop/verdicts.rs, built as tests are."""

    def __init__(self):
        built = subprocess.run(["cargo", "test", "--locked", "--test", "verdicts", "--no-run", "--message-format=json"],
                               cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        made = [json.loads(line) for line in built.splitlines()]
        path, = [item["executable"] for item in made if item.get("target", {}).get("name") == "verdicts"]
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, stanza):
        """`1`, `0` or `?`, `~` where nothing that follows would be heard; and what would be passed on."""
        self.process.stdin.write(struct.pack("<I", len(stanza)) + stanza)
        self.process.stdin.flush()
        verdict, relayed = self.process.stdout.read(1).decode(), stanza
        if verdict == "1":
            length, = struct.unpack("<I", self.process.stdout.read(4))
            relayed = self.process.stdout.read(length)
        if verdict == "?" and not stanza.endswith(CLOSERS) and self.ask(stanza + CLOSERS)[0] == "?":
            verdict = "~"
        return verdict, relayed


# ---- verdicts ---------------------------------------------------------------------------------------------------

def shape(reason):
    """A refusal without what is particular to it."""
    reason = re.sub(r"[:,]? ?\(?(<string>, )?line \d+(, column \d+)?\)?", "", reason)
    reason = re.sub(r"xmlns:[^\s:]*", "xmlns", reason)
    reason = re.sub(r"'[^']*'|\b\d+\b|\[.*?\]|&[^;]*;|\S*:\S*(?= is)|(?<=for )\S+|(?<=attribute )\S+|(?<=on )\S+|(?<=prefix )\S+|(?<=tag )\S+|(?<=name )\S+", "_", reason)
    return reason[:60]


# Java's names and namespaces end at 1000 characters.
LONG = re.compile(rb"[^\s<>/='\"&;]{1001,}")


def judge(strict, verdict, stanza, relayed):
    """None, or the class of the fault."""
    if verdict in "?~":
        why, at = dead(stanza) or (None, 0)
        # Cut behind the fault: what is unfinished further on does not count.
        swallows = why and verdict == "~" and strict.ask(stanza[:at + 1])[0] == "~"
        return ("swallows the stream", shape(why)) if swallows else None
    read = readings(relayed if verdict == "1" else stanza)
    refusals = {name: reading for name, reading in read.items() if isinstance(reading, str)}
    if verdict == "0":
        # Refused where everybody would have read it: stricter than needed, or another rule's business.
        return ("stricter than needed",) if not refusals and not LONG.search(stanza) else None
    if refusals:
        return ("refused", ) + tuple(sorted({f"{name}: {shape(reason)}" for name, reason in refusals.items()}))
    if len(set(read.values())) > 1:
        kinds = collections.defaultdict(list)
        for name, reading in read.items():
            kinds[reading].append(name)
        return ("read differently", ) + tuple(sorted(",".join(names) for names in kinds.values()))
    return None


def shrink(strict, stanza, fault):
    """A shorter stanza with the same fault."""
    budget, size = 200, max(1, len(stanza) // 2)
    while size and budget > 0:
        at, shorter = len("<message"), False
        while at < len(stanza) and budget > 0:
            attempt = stanza[:at] + stanza[at + size:]
            budget -= 1
            verdict, relayed = strict.ask(attempt)
            if judge(strict, verdict, attempt, relayed) == fault:
                stanza, shorter = attempt, True
            else:
                at += size
        if not shorter:
            size //= 2
    return stanza


def main():
    options = argparse.ArgumentParser()
    options.add_argument("binary", nargs="?")
    options.add_argument("--runs", type=int, default=40000)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--shrink", action="store_true")
    arguments = options.parse_args()
    strict, rng = Helper(), random.Random(arguments.seed)
    maker, faults, verdicts = Maker(rng), {}, collections.Counter()
    end = time.monotonic() + arguments.seconds
    for _ in range(arguments.runs):
        if time.monotonic() > end:
            break
        stanza = maker.stanza()
        if rng.random() < 0.3:
            stanza = maker.mutate(stanza, len("<message"))
        verdict, relayed = strict.ask(stanza)
        verdicts[verdict] += 1
        fault = judge(strict, verdict, stanza, relayed)
        if fault and (fault not in faults or len(stanza) < len(faults[fault])):
            faults[fault] = stanza
    faults.pop(("stricter than needed",), None)
    for fault, stanza in faults.items():
        print(*fault, shrink(strict, stanza, fault)[:400] if arguments.shrink else stanza[:400], sep="\n  ")
    print(f"{verdicts['1']} stanzas passed on and read alike by {len(READERS)} parsers, {verdicts['0']} refused, "
          f"{verdicts['?'] + verdicts['~']} unfinished" if not faults else f"{len(faults)} classes of faults")
    assert verdicts["1"] > 1000 and verdicts["0"] > 1000, verdicts
    sys.exit(1 if faults else 0)


main()
