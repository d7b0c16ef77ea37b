//! What operators' commands are answered.
use smol::channel::Sender;

use super::Driver;
use crate::net::intake::inbox::Answer;
use crate::net::machine::memory::memory_bytes;
use crate::server::Command;
use crate::state::JobId;
use crate::xmpp::quoted;

/// A command whose answer is awaited.
pub(in crate::net) struct Waiting {
    pub reply: Sender<Answer>,
    pub is_status: bool,
}

impl Driver {
    pub(in crate::net) fn answer(&mut self, job: JobId, code: u8, mut text: String) {
        let Some(waiting) = self.commands.remove(&job) else {
            return;
        };
        if waiting.is_status {
            text.push_str(&self.status());
        }
        // Whoever asked may have gone.
        let _gone = waiting.reply.try_send(Answer { code, text });
    }

    /// Why a command is refused before anybody looks at it. RFC 6120 §4.9.3.19: clients go on to verify this server's name at
    /// the other, which is not to be had without our certificate.
    pub(in crate::net) fn refused(&self, command: &Command) -> Option<String> {
        let (Command::UserMove {
            host: Some(host), ..
        }
        | Command::Drain { host: Some(host) }) = command
        else {
            return None;
        };
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.split_once(':').map_or(host.as_str(), |(name, _)| name),
        };
        let covered = self.shell.identities.current().covers(name);
        (!covered).then(|| {
            format!(
                "the certificate does not cover {}\n  nobody is sent where he could not tell whom he meets: name a host that it covers, or get a certificate for both",
                quoted(name)
            )
        })
    }

    /// What only the shell knows.
    fn status(&self) -> String {
        let unsent = self.shell.held.unsent.get();
        let state = self.server.state();
        let identity = self.shell.identities.current();
        let memory = memory_bytes().map_or("unknown".to_string(), |bytes| bytes.to_string());
        format!(
            "\nmemory bytes {memory}\nbudget bytes {} used of {}\ntls sessions {} bytes\nstore bytes  {}\ncommits      {}\nqueue bytes  {} in, {unsent} out\ncertificate  sha256 {}\n             sha1 {}",
            state.memory.inside() + self.outside_bytes(),
            state.settings.memory_bytes_max,
            identity.session_bytes(),
            self.store.file_bytes(),
            self.commits,
            self.shell.inbox.bytes(),
            identity.fingerprints.sha256,
            identity.fingerprints.sha1
        )
    }
}
