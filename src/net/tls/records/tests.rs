//! Two ends of one connection, one of which says whatever it likes.
use super::*;

const SUITES: [Suite; 3] = [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305];

/// Two ends of one connection.
fn pair(suite: Suite) -> (Records, Records) {
    let length = if suite == Suite::Aes256Gcm { 48 } else { 32 };
    let side = |n: u8| Side::of_secret(suite, &vec![n; length], 0).unwrap();
    let end = |read, write| Records::with(suite, side(read), side(write));
    (end(1, 2), end(2, 1))
}

/// A record with any content, padded with zeros.
fn record(peer: &mut Records, kind: u8, content: &[u8]) -> Vec<u8> {
    let key = peer.write.cipher(peer.suite).unwrap();
    let mut wire = Vec::new();
    peer.write.seal(&key, kind, content, &mut wire).unwrap();
    wire
}

/// What came of bytes: what was read, what is answered.
fn take(records: &mut Records, mut wire: Vec<u8>) -> (Result<Vec<u8>, TlsError>, Vec<u8>) {
    let (mut outgoing, mut plaintext) = (Vec::new(), Vec::new());
    let outcome = &mut Received::default();
    let (_, result) = records.process(&mut wire, &mut outgoing, &mut plaintext, outcome);
    (result.map(|()| plaintext), outgoing)
}

/// The alert that `wire` holds, as `peer` sees it.
fn alert(peer: &mut Records, mut wire: Vec<u8>) -> Option<AlertDescription> {
    let record = whole_record(&mut wire).unwrap()?;
    let key = peer.read.cipher(peer.suite).unwrap();
    match peer.read.open(&key, record).unwrap() {
        (ALERT, [2, description]) => Some((*description).into()),
        other => panic!("{other:?} is no fatal alert"),
    }
}

#[test]
fn a_key_is_replaced_in_time_and_when_asked() {
    for suite in SUITES {
        let (mut ours, mut theirs) = pair(suite);
        let mut updates = 0;
        for n in 0..3 * KEY_RECORDS_MAX {
            let sent = n.to_be_bytes();
            let mut wire = Vec::new();
            ours.seal(&sent, &mut wire).unwrap();
            assert_eq!(take(&mut theirs, wire).0.unwrap(), sent);
            assert!(ours.write.sequence <= KEY_RECORDS_MAX);
            updates += u64::from(ours.write.sequence == 1);
        }
        // The first of each key.
        assert_eq!(updates, 3);
        // Asked for many times at once: one answer.
        let mut wire = Vec::new();
        for _ in 0..5 {
            wire.extend(record(&mut theirs, HANDSHAKE, &[24, 0, 0, 1, 1]));
            theirs.write.update(suite).unwrap();
        }
        wire.extend(record(&mut theirs, APPLICATION_DATA, b"behind"));
        let (read, mut answer) = take(&mut ours, wire);
        assert_eq!(read.unwrap(), b"behind");
        assert_eq!(
            whole_record(&mut answer).unwrap().unwrap().len(),
            5 + 6 + 16
        );
        assert_eq!(take(&mut theirs, answer).0.unwrap(), b"");
        let mut wire = Vec::new();
        ours.seal(b"with the next key", &mut wire).unwrap();
        assert_eq!(take(&mut theirs, wire).0.unwrap(), b"with the next key");
    }
}

#[test]
fn what_must_not_come_is_told_by_an_alert() {
    use AlertDescription as Alert;
    let long = vec![7; RECORD_BYTES_MAX + 1];
    let padded = [&b"text\x17"[..], &vec![0; RECORD_BYTES_MAX]].concat();
    let cases: [(u8, &[u8], Alert); 23] = [
        (HANDSHAKE, &[24, 0, 0, 1, 2], Alert::IllegalParameter),
        (HANDSHAKE, &[24, 0, 0, 1, 255], Alert::IllegalParameter),
        (HANDSHAKE, &[24, 0, 0, 0], Alert::DecodeError),
        (HANDSHAKE, &[24, 0, 0, 2, 0, 0], Alert::DecodeError),
        (HANDSHAKE, &[24, 1, 0, 1, 0], Alert::DecodeError),
        (HANDSHAKE, &[24, 0, 0, 1, 0, 0], Alert::UnexpectedMessage),
        (
            HANDSHAKE,
            &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0],
            Alert::UnexpectedMessage,
        ),
        (HANDSHAKE, &[1, 0, 0, 1, 0], Alert::UnexpectedMessage),
        (HANDSHAKE, &[20], Alert::UnexpectedMessage),
        (HANDSHAKE, &[], Alert::UnexpectedMessage),
        (ALERT, &[], Alert::UnexpectedMessage),
        (ALERT, &[1], Alert::DecodeError),
        (ALERT, &[1, 0, 1, 0], Alert::DecodeError),
        (ALERT, &[1, 40], Alert::DecodeError),
        (ALERT, &[3, 40], Alert::IllegalParameter),
        (ALERT, &[0, 0], Alert::IllegalParameter),
        (20, &[1], Alert::UnexpectedMessage),
        (24, &[1], Alert::UnexpectedMessage),
        (0, &[0; 40], Alert::UnexpectedMessage),
        (0, &[], Alert::UnexpectedMessage),
        (APPLICATION_DATA, &long, Alert::RecordOverflow),
        (HANDSHAKE, &long, Alert::RecordOverflow),
        // Its content is short, it is not.
        (0, &padded, Alert::RecordOverflow),
    ];
    for (kind, content, expected) in cases {
        let (mut ours, mut theirs) = pair(Suite::Aes256Gcm);
        let wire = record(&mut theirs, kind, content);
        let (read, answer) = take(&mut ours, wire);
        assert!(read.is_err(), "{kind} {content:?}");
        assert_eq!(
            alert(&mut theirs, answer),
            Some(expected),
            "{kind} {content:?}"
        );
    }
}

#[test]
fn a_record_is_full_with_its_padding() {
    let text = vec![7; RECORD_BYTES_MAX];
    let padded = [&b"text\x17"[..], &vec![0; RECORD_BYTES_MAX - 4]].concat();
    let (mut ours, mut theirs) = pair(Suite::Aes128Gcm);
    let wire = record(&mut theirs, APPLICATION_DATA, &text);
    assert_eq!(take(&mut ours, wire).0.unwrap(), text);
    let key = theirs.write.cipher(theirs.suite).unwrap();
    let mut wire = Vec::new();
    // 2^14 octets and the last zero where the kind would be.
    theirs
        .write
        .seal(&key, 0, &padded[..RECORD_BYTES_MAX], &mut wire)
        .unwrap();
    assert_eq!(take(&mut ours, wire).0.unwrap(), b"text");
}

#[test]
fn a_key_update_comes_in_any_pieces() {
    for cuts in 0..16u8 {
        for request in [0, 1] {
            let (mut ours, mut theirs) = pair(Suite::Aes128Gcm);
            let message = [24, 0, 0, 1, request];
            let mut piece = Vec::new();
            for (n, byte) in message.iter().enumerate() {
                piece.push(*byte);
                if n == 4 || cuts & (1 << n) != 0 {
                    let wire = record(&mut theirs, HANDSHAKE, &std::mem::take(&mut piece));
                    let (read, answer) = take(&mut ours, wire);
                    assert_eq!(read.unwrap(), b"");
                    let is_answered = n == 4 && request == 1;
                    assert_eq!(!answer.is_empty(), is_answered, "{cuts} {n}");
                    if is_answered {
                        take(&mut theirs, answer).0.unwrap();
                    }
                }
            }
            theirs.write.update(theirs.suite).unwrap();
            let wire = record(&mut theirs, APPLICATION_DATA, b"behind");
            assert_eq!(take(&mut ours, wire).0.unwrap(), b"behind");
            let mut wire = Vec::new();
            ours.seal(b"answer", &mut wire).unwrap();
            assert_eq!(take(&mut theirs, wire).0.unwrap(), b"answer");
        }
    }
}

#[test]
fn nothing_comes_between_the_pieces_of_a_message() {
    for (kind, content) in [
        (APPLICATION_DATA, &b"data"[..]),
        (ALERT, &[1, 0]),
        (APPLICATION_DATA, b""),
    ] {
        let (mut ours, mut theirs) = pair(Suite::Aes128Gcm);
        let mut wire = record(&mut theirs, HANDSHAKE, &[24, 0]);
        wire.extend(record(&mut theirs, kind, content));
        let (read, answer) = take(&mut ours, wire);
        assert!(read.is_err());
        let expected = Some(AlertDescription::UnexpectedMessage);
        assert_eq!(alert(&mut theirs, answer), expected);
    }
}

#[test]
fn what_carries_nothing_is_counted() {
    let updating = |theirs: &mut Records| {
        let wire = record(theirs, HANDSHAKE, &[24, 0, 0, 1, 0]);
        theirs.write.update(theirs.suite).unwrap();
        wire
    };
    let empty = |theirs: &mut Records| record(theirs, APPLICATION_DATA, b"");
    let warning = |theirs: &mut Records| record(theirs, ALERT, &[1, USER_CANCELED]);
    let data = |theirs: &mut Records| record(theirs, APPLICATION_DATA, b" ");
    type Make<'m> = &'m dyn Fn(&mut Records) -> Vec<u8>;
    // How many are borne, and whether data between them makes them bearable again.
    let cases: [(Make<'_>, usize, bool); 3] = [
        (&updating, 32, true),
        (&empty, 32, true),
        (&warning, 4, false),
    ];
    for (make, max, is_forgiven) in cases {
        let (mut ours, mut theirs) = pair(Suite::ChaCha20Poly1305);
        let mut wire = Vec::new();
        for _ in 0..max {
            wire.extend(make(&mut theirs));
        }
        wire.extend(data(&mut theirs));
        assert_eq!(take(&mut ours, wire).0.unwrap(), b" ");
        if is_forgiven {
            for _ in 0..max {
                let wire = make(&mut theirs);
                assert_eq!(take(&mut ours, wire).0.unwrap(), b"");
            }
        }
        let wire = make(&mut theirs);
        let (read, answer) = take(&mut ours, wire);
        assert!(read.is_err(), "{max}");
        let expected = Some(AlertDescription::UnexpectedMessage);
        assert_eq!(alert(&mut theirs, answer), expected);
    }
    // An empty record is not data, nor is an update content.
    let (mut ours, mut theirs) = pair(Suite::ChaCha20Poly1305);
    let mut wire = Vec::new();
    for _ in 0..33 {
        wire.extend(updating(&mut theirs));
        wire.extend(empty(&mut theirs));
    }
    assert!(take(&mut ours, wire).0.is_err());
}

#[test]
fn headers_are_judged_before_their_record_is_there() {
    let cases = [
        ([23, 3, 3, 0x41, 0x01], AlertDescription::RecordOverflow),
        ([21, 3, 3, 0, 2], AlertDescription::UnexpectedMessage),
        ([20, 3, 3, 0, 1], AlertDescription::UnexpectedMessage),
    ];
    for (header, expected) in cases {
        let (mut ours, mut theirs) = pair(Suite::ChaCha20Poly1305);
        let (read, answer) = take(&mut ours, header.to_vec());
        assert!(read.is_err());
        assert_eq!(alert(&mut theirs, answer), Some(expected));
    }
}

#[test]
fn order_and_integrity_are_kept() {
    let (mut ours, mut theirs) = pair(Suite::Aes128Gcm);
    let one = record(&mut theirs, APPLICATION_DATA, b"one");
    let two = record(&mut theirs, APPLICATION_DATA, b"two");
    for wrong in [two.clone(), [&one[..], &one[..]].concat()] {
        let mut ours = pair(Suite::Aes128Gcm).0;
        assert!(matches!(
            take(&mut ours, wrong).0,
            Err(TlsError::Protocol(Error::DecryptError))
        ));
    }
    let mut short = one.clone();
    short[4] -= 1;
    short.pop();
    assert!(take(&mut pair(Suite::Aes128Gcm).0, short).0.is_err());
    let (read, _) = take(&mut ours, [one, two].concat());
    assert_eq!(read.unwrap(), b"onetwo");
}

#[test]
fn padding_and_explanations_are_taken_off() {
    let (mut ours, mut theirs) = pair(Suite::Aes256Gcm);
    let padded = record(&mut theirs, 0, b"text\x17\0\0\0");
    let canceled = record(&mut theirs, ALERT, &[1, USER_CANCELED]);
    let end = record(&mut theirs, ALERT, &[1, CLOSE_NOTIFY]);
    let late = record(&mut theirs, APPLICATION_DATA, b"late");
    let wire = [padded, canceled, end, late].concat();
    assert_eq!(take(&mut ours, wire).0.unwrap(), b"text");
    let (mut ours, mut theirs) = pair(Suite::Aes256Gcm);
    let fatal = record(&mut theirs, ALERT, &[2, 80]);
    let (read, answer) = take(&mut ours, fatal);
    assert!(read.is_err() && answer.is_empty(), "no alert to an alert");
}
