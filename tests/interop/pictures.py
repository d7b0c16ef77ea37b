"""Two small pictures, and how clients set and see them."""
import base64
import hashlib

from slixmpp.exceptions import IqError

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
PNG_NAME = hashlib.sha1(PNG).hexdigest()


async def show(person, image, kind, **options):
    """Sets the avatar as modern clients do."""
    avatar = person.plugin["xep_0084"]
    name = avatar.generate_id(image)
    form = {"options": person.form("publish-options", **options)} if options else {}
    await avatar.publish_avatar(image, **form)
    await avatar.publish_avatar_metadata({"id": name, "type": kind, "bytes": len(image)}, **form)
    return name


async def photo(person, whose):
    """As elder clients see it: type and bytes. Where there is no vCard there is none."""
    try:
        vcard = (await person.plugin["xep_0054"].get_vcard(whose))["vcard_temp"].xml
    except IqError:
        return None, b""
    return vcard.findtext("{vcard-temp}PHOTO/{vcard-temp}TYPE"), base64.b64decode(
        vcard.findtext("{vcard-temp}PHOTO/{vcard-temp}BINVAL") or "")
