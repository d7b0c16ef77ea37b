use super::*;
use crate::xml::{Element, parse_stored};

fn parsed(xml: &str) -> Element {
    parse_stored(xml, "").unwrap()
}

const TEMP: &str = "<vCard xmlns='vcard-temp'><FN>Peter Saint-Andre</FN>\
    <N><FAMILY>Saint-Andre</FAMILY><GIVEN>Peter</GIVEN><MIDDLE></MIDDLE></N>\
    <NICKNAME>stpeter</NICKNAME><NICKNAME>psa</NICKNAME>\
    <PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO><BDAY>1966-08-06</BDAY>\
    <ADR><WORK/><PREF/><EXTADD>Suite 600</EXTADD><STREET>1899 Wynkoop Street</STREET><CTRY>USA</CTRY></ADR>\
    <TEL><WORK/><VOICE/><PREF/><NUMBER>+1-303-308-3282</NUMBER></TEL>\
    <EMAIL><WORK/><USERID>psaintan@cisco.com</USERID></EMAIL><EMAIL><USERID>a&amp;b@c</USERID></EMAIL>\
    <JABBERID>stpeter@jabber.org</JABBERID><TZ>America/Denver</TZ>\
    <GEO><LAT>39.59</LAT><LON>-105.01</LON></GEO><TITLE>Executive Director</TITLE><ROLE>Patron Saint</ROLE>\
    <LOGO><EXTVAL>https://l/</EXTVAL></LOGO><ORG><ORGNAME>XSF</ORGNAME><ORGUNIT>board</ORGUNIT></ORG>\
    <CATEGORIES><KEYWORD>a</KEYWORD><KEYWORD>b</KEYWORD></CATEGORIES><DESC>More</DESC>\
    <UID>urn:uuid:1</UID><URL>https://stpeter.im/</URL><KEY><CRED>k</CRED></KEY></vCard>";

const FOUR: &str = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Peter Saint-Andre</text></fn>\
    <n><surname>Saint-Andre</surname><given>Peter</given><additional></additional></n>\
    <nickname><text>stpeter</text></nickname><nickname><text>psa</text></nickname>\
    <photo><uri>data:image/png;base64,iVBORw0KGgo=</uri></photo><bday><date>1966-08-06</date></bday>\
    <adr><parameters><type><text>work</text></type><pref><integer>1</integer></pref></parameters>\
    <ext>Suite 600</ext><street>1899 Wynkoop Street</street><country>USA</country></adr>\
    <tel><parameters><type><text>work</text><text>voice</text></type><pref><integer>1</integer></pref></parameters>\
    <uri>tel:+1-303-308-3282</uri></tel>\
    <email><parameters><type><text>work</text></type></parameters><text>psaintan@cisco.com</text></email>\
    <email><text>a&amp;b@c</text></email>\
    <impp><uri>xmpp:stpeter@jabber.org</uri></impp><tz><text>America/Denver</text></tz>\
    <geo><uri>geo:39.59,-105.01</uri></geo><title><text>Executive Director</text></title>\
    <role><text>Patron Saint</text></role><logo><uri>https://l/</uri></logo>\
    <org><text>XSF</text><text>board</text></org><categories><text>a</text><text>b</text></categories>\
    <note><text>More</text></note><uid><uri>urn:uuid:1</uri></uid><url><uri>https://stpeter.im/</uri></url>\
    <key><text>k</text></key></vcard>";

#[test]
fn all_properties_there_and_back() {
    assert_eq!(four_of_temp(parsed(TEMP).root(), None), FOUR);
    assert_eq!(temp_of_four(parsed(FOUR).root(), None), TEMP);
}

#[test]
fn what_the_other_form_cannot_say_stays() {
    let temp = parsed(
        "<vCard xmlns='vcard-temp' version='2.0'><FN>new</FN><LABEL><LINE>x</LINE></LABEL><MAILER>m</MAILER></vCard>",
    );
    let four = parsed(
        "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>old</text></fn><gender><sex><text>M</text></sex></gender>\
         <impp><uri>sip:a@b</uri></impp><impp><uri>xmpp:a@b</uri></impp><x xmlns='y'/></vcard>",
    );
    let of_temp = four_of_temp(temp.root(), Some(four.root()));
    for kept in ["<text>new</text>", "<gender ", "sip:a@b", "<x xmlns='y'/>"] {
        assert!(of_temp.contains(kept), "{kept}: {of_temp}");
    }
    assert!(
        !of_temp.contains("old") && !of_temp.contains("xmpp:"),
        "{of_temp}"
    );
    let of_four = temp_of_four(four.root(), Some(temp.root()));
    assert_eq!(
        of_four,
        "<vCard xmlns='vcard-temp'><FN>old</FN><JABBERID>a@b</JABBERID>\
         <LABEL xmlns='vcard-temp'><LINE>x</LINE></LABEL><MAILER xmlns='vcard-temp'>m</MAILER></vCard>"
    );
    parsed(&of_temp);
}

#[test]
fn forms_that_are_not_by_the_book() {
    let temp = parsed(
        "<vCard xmlns='vcard-temp'><TEL>123</TEL><EMAIL><HOME/>a@b</EMAIL><NOTE>n</NOTE><BDAY>1966-08-06T00:00:00Z</BDAY>\
         <PHOTO/><GEO/><ORG/><FN xmlns='other'>x</FN></vCard>",
    );
    assert_eq!(
        four_of_temp(temp.root(), None),
        "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><tel><uri>tel:123</uri></tel>\
         <email><parameters><type><text>home</text></type></parameters><text>a@b</text></email>\
         <note><text>n</text></note><bday><date-time>1966-08-06T00:00:00Z</date-time></bday>\
         <photo><uri>data:;base64,</uri></photo><geo><uri>geo:,</uri></geo><org/></vcard>"
    );
    let four = parsed(
        "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><tel><text>12</text></tel><geo><uri>geo:1,2;u=3</uri></geo>\
         <nickname><text>a</text><text>b</text></nickname><url/><photo/></vcard>",
    );
    assert_eq!(
        temp_of_four(four.root(), None),
        "<vCard xmlns='vcard-temp'><TEL><NUMBER>12</NUMBER></TEL><GEO><LAT>1</LAT><LON>2</LON></GEO>\
         <NICKNAME>a</NICKNAME><NICKNAME>b</NICKNAME><URL></URL><PHOTO><EXTVAL></EXTVAL></PHOTO></vCard>"
    );
}

#[test]
fn a_picture_goes_in_and_out() {
    let photo = photo("image/gif", "R0lG");
    let place = "<PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO>";
    for (with, then) in [("", ""), (&photo, photo.as_str()), ("<PHOTO/>", "<PHOTO/>")] {
        assert_eq!(
            with_photo(parsed(TEMP).root(), with),
            TEMP.replace(place, then)
        );
    }
    let two = "<v:vCard xmlns:v='vcard-temp'> <v:PHOTO/>\n<v:FN>x</v:FN><v:PHOTO/></v:vCard>";
    assert_eq!(
        with_photo(parsed(two).root(), &photo),
        format!(
            "<v:vCard xmlns:v='vcard-temp'>{photo}<v:FN xmlns:v='vcard-temp'>x</v:FN></v:vCard>"
        )
    );
    for empty in [
        "<vCard xmlns='vcard-temp'/>",
        "<vCard xmlns='vcard-temp'></vCard>",
    ] {
        let with = with_photo(parsed(empty).root(), &photo);
        assert_eq!(with, format!("<vCard xmlns='vcard-temp'>{photo}</vCard>"));
        parsed(&with);
    }
}
