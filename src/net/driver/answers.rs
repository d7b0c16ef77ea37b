//! What operators' commands are answered.
use smol::channel::Sender;

use super::Driver;
use crate::net::intake::inbox::Answer;
use crate::net::machine::memory::memory_bytes;
use crate::state::JobId;

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
