//! What is read and sent at a time, and what is kept of archives.
use super::{Setting, limit, number, switch};

pub const SETTINGS: &[Setting] = &[
    number!(
        "read_bytes_per_second_max",
        10_000..=1 << 30,
        settings.read_bytes_per_second_max,
        "Bytes a client may send in a second, twice as many at once; who sends more is read more slowly."
    ),
    number!(
        "read_stanzas_per_second_max",
        10..=1_000_000,
        settings.read_stanzas_per_second_max,
        "The same for stanzas."
    ),
    number!(
        "send_queue_bytes_max",
        65_536..=1 << 30,
        settings.send_queue_bytes_max,
        "Bytes that may wait for a slow client before it is disconnected, beside one answer of its own. From a quarter on, those who send to it are read more slowly."
    ),
    number!(
        "archive_page_max",
        1..=10_000,
        settings.archive_page_max,
        "Messages on one page of history."
    ),
    switch!(
        "archive_search",
        settings.archive_search,
        "Messages are found by their words (XEP-0431). Off, the index of words is removed."
    ),
    limit!(
        "archive_days_max",
        1..=36_500,
        settings.archive_days_max,
        "Days messages are kept. What nobody has received yet is kept until somebody has."
    ),
    limit!(
        "archive_bytes_max",
        1 << 20..=1 << 50,
        settings.archive_bytes_max,
        "Bytes of messages at which old ones are removed: of the account that has most, what was received before what nobody has received yet."
    ),
    number!(
        "disk_free_percent_min",
        0..=90,
        settings.disk_free_percent_min,
        "Percent of the disk kept free: below it old messages of the accounts that have most are removed and no new ones stored. What nobody has received yet stays."
    ),
];
