//! What one account may keep.
use super::{Setting, number};

pub const SETTINGS: &[Setting] = &[
    number!(
        "roster_contacts_max",
        1..=100_000,
        settings.roster_contacts_max,
        "Contacts of one account."
    ),
    number!(
        "roster_groups_max",
        1..=1_000,
        settings.roster_groups_max,
        "Groups one contact may be in."
    ),
    number!(
        "roster_bytes_max",
        65_536..=16 << 20,
        settings.roster_bytes_max,
        "Size of a roster as it is sent: names, groups and all."
    ),
    number!(
        "blocked_jids_max",
        1..=100_000,
        settings.blocked_jids_max,
        "Addresses one account may block."
    ),
    number!(
        "blocked_bytes_max",
        65_536..=16 << 20,
        settings.blocked_bytes_max,
        "Size of a block list as it is sent."
    ),
    number!(
        "private_bytes_max",
        1..=16 << 20,
        settings.private_bytes_max,
        "Size of a vCard or one item of private storage."
    ),
    number!(
        "private_items_max",
        1..=10_000,
        settings.private_items_max,
        "Items of private storage of one account."
    ),
    number!(
        "private_total_bytes_max",
        1..=64 << 20,
        settings.private_total_bytes_max,
        "Size of all private storage of one account."
    ),
];
