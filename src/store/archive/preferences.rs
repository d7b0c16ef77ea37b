//! What an account wants archived of whom (XEP-0441).
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::ARCHIVE_PREFERENCES;
use crate::store::{AccountId, StoreError, Tx, Writing};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultPolicy {
    #[default]
    Always,
    Roster,
    Never,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivePreferences {
    pub default: DefaultPolicy,
    pub always: Vec<String>,
    pub never: Vec<String>,
}

impl Tx {
    pub fn archive_preferences(
        &self,
        account: AccountId,
    ) -> Result<ArchivePreferences, StoreError> {
        let table = self.view(ARCHIVE_PREFERENCES)?;
        let Some(row) = table.get(account.0)? else {
            return Ok(ArchivePreferences::default());
        };
        let mut row = Decoder::new(row.value());
        Ok(ArchivePreferences {
            default: match row.byte()? {
                0 => DefaultPolicy::Always,
                1 => DefaultPolicy::Roster,
                _ => DefaultPolicy::Never,
            },
            always: row.texts()?,
            never: row.texts()?,
        })
    }

    pub fn set_archive_preferences(
        &mut self,
        account: AccountId,
        preferences: &ArchivePreferences,
    ) -> Result<(), StoreError> {
        let default = match preferences.default {
            DefaultPolicy::Always => 0,
            DefaultPolicy::Roster => 1,
            DefaultPolicy::Never => 2,
        };
        let row = Encoder::default()
            .byte(default)
            .texts(&preferences.always)
            .texts(&preferences.never);
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(ARCHIVE_PREFERENCES)?
            .insert(account.0, row.done().as_slice())?;
        Ok(())
    }
}
