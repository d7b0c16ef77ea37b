"""An occupant whose client is another one: stanza by stanza it says what that one says."""
from slixmpp.xmlstream import ET

from client import TIMEOUT
from occupant import MUC, Occupant

DATA, DISCO = "jabber:x:data", "http://jabber.org/protocol/disco#info"


class Spoken(Occupant):
    def __init__(self, server, name, resource):
        super().__init__(server, name, resource)
        self.register_plugin("xep_0060")

    async def asks(self, kind, to, payload):
        iq = self.make_iq(ito=to, itype=kind)
        iq.append(ET.fromstring(payload))
        return (await iq.send(timeout=TIMEOUT)).xml

    async def info(self, jid):
        """Its identities, features and, of the form about a room, the values of fields."""
        query = (await self.asks("get", jid, f"<query xmlns='{DISCO}'/>")).find(f"{{{DISCO}}}query")
        forms = {}
        for form in query.iter(f"{{{DATA}}}x"):
            fields = {each.get("var"): each.findtext(f"{{{DATA}}}value") for each in form.iter(f"{{{DATA}}}field")}
            forms[fields["FORM_TYPE"]] = fields
        return ({(each.get("category"), each.get("type")) for each in query.iter(f"{{{DISCO}}}identity")},
                {each.get("var") for each in query.iter(f"{{{DISCO}}}feature")}, forms.get(f"{MUC}#roominfo"))

    async def form(self, room):
        answer = await self.asks("get", room, f"<query xmlns='{MUC}#owner'/>")
        return answer.find(f"{{{MUC}#owner}}query/{{{DATA}}}x")

    async def submits(self, room, fields):
        submit = ET.Element(f"{{{DATA}}}x", {"type": "submit"})
        submit.extend(fields)
        query = ET.Element(f"{{{MUC}#owner}}query")
        query.append(submit)
        await self.asks("set", room, ET.tostring(query, encoding="unicode"))

    def join(self, room, history):
        self.forget(room)
        self.send_raw(f"<presence to='{room}/{self.boundjid.user}'><x xmlns='{MUC}'><history {history}/></x></presence>")


def value_of(field, value):
    """The field as it came, choices and all, with this value."""
    for old in field.findall(f"{{{DATA}}}value"):
        field.remove(old)
    ET.SubElement(field, f"{{{DATA}}}value").text = value
    return field
