//! XEP-0386: a resource bound within a login, with all that its session begins with.
use crate::feature;
use crate::state::{ConnectionId, SessionClient, SessionId};
use crate::store::{AccountId, ArchiveId, ClientKey, StoreError};
use crate::stream::BindRequest;
use crate::xml::Writer;
use crate::xmpp::{BareJid, FullJid, ns};

use super::management;
use crate::server::route::message::unseen;
use crate::server::{Server, Step};

impl Server {
    /// XEP-0386 §3.2: a session with all it asked for, and the archive as it is at this moment. `None`: there is no room
    /// for one more session, and the client may ask again in the old way.
    pub(in crate::server) fn bind_inline(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        (account_jid, account): (&BareJid, AccountId),
        (request, client): (&BindRequest, SessionClient),
        w: &mut Writer<'_>,
    ) -> Result<Option<SessionId>, StoreError> {
        let jid = self.inline_resource((account_jid, account), request, client.key.as_ref());
        let earlier = client.key.clone();
        let opened = self.open_session(step, id, (&jid, account), client)?;
        let Ok(session) = opened else {
            return Ok(None);
        };
        // The earlier session of the same client, under another tag.
        if let Some(key) = earlier {
            let same = |known: &crate::state::Session| {
                known.id != session && known.client.key.as_ref() == Some(&key)
            };
            for old in self.state.sessions.ids_where(account_jid, same) {
                let connection = self.state.sessions.get(old).and_then(|old| old.connection);
                self.replace(step, old, connection)?;
            }
        }
        let mut cx = self.cx(step);
        // What waited is in the archive, where this client looks itself; a client that is being given it keeps getting it.
        unseen::dismiss(&mut cx, account_jid)?;
        w.open_ns("bound", ns::BIND2);
        let ends = cx.tx.archive_ends(account)?;
        feature::write_archive_metadata(&cx.state.archive_ids, ends, w);
        if let Some(known) = cx.state.sessions.get_mut(session) {
            known.carbons = request.carbons;
            known.archive_read = ends.map_or(ArchiveId(0), |[_, (newest, _)]| newest);
        }
        if let Some(enable) = request.enable {
            let enabled = management::enable(&mut cx, session, enable);
            management::write_enabled(w, &enabled);
        }
        management::client_state(&mut cx, session, !request.inactive);
        w.close();
        Ok(Some(session))
    }

    /// XEP-0386 §3.2.1: `tag/name`, always the same for a client that has a name that lasts.
    fn inline_resource(
        &mut self,
        (account_jid, account): (&BareJid, AccountId),
        request: &BindRequest,
        key: Option<&ClientKey>,
    ) -> FullJid {
        let tag = request.tag.as_deref().unwrap_or_default();
        let name = match key {
            Some(key) => self.state.tokens.stable_resource(account, key, tag),
            None => {
                let mut bytes = [0; 9];
                self.entropy.fill(&mut bytes);
                crate::state::name_of(&bytes)
            }
        };
        let tagged = Some(tag)
            .filter(|tag| !tag.is_empty())
            .and_then(|tag| account_jid.with_resource(&format!("{tag}/{name}")).ok());
        tagged.unwrap_or_else(|| {
            account_jid
                .with_resource(&name)
                .expect("base64 is a resource")
        })
    }
}
