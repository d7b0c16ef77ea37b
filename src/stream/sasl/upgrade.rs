//! XEP-0480: once logged in by a password, a client that asks for it hands over what SCRAM needs for another hash, or for
//! more iterations; a task of XEP-0388 §2.6.3 for each.

use crate::xml::{ElementRef, Writer};
use crate::xmpp::{SaslCondition, base64, from_base64, ns};

use super::super::negotiation::Io;
use super::login::Success;
use super::{Auth, Exchange, HashedPassword, Progress, Refusal, SaslFailure, ScramHash, keys};

/// One finished task: what is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    pub hash: ScramHash,
    pub hashed: HashedPassword,
}

/// The client proved who it is; its `<next/>` or `<task-data/>` is awaited.
pub struct Upgrading {
    pub success: Success,
    /// Still to do; the first was named to the client.
    tasks: Vec<ScramHash>,
    /// Told to the client for the task it began.
    salt: Option<[u8; 16]>,
    pub done: Vec<Upgrade>,
}

impl Upgrading {
    /// Names the first task.
    pub fn begin(mut success: Success, tasks: Vec<ScramHash>, io: &mut Io<'_>) -> Upgrading {
        let data = success.data.take();
        let upgrading = Upgrading {
            success,
            tasks,
            salt: None,
            done: Vec::new(),
        };
        upgrading.name_task(data.as_deref(), io);
        upgrading
    }

    fn name_task(&self, data: Option<&[u8]>, io: &mut Io<'_>) {
        let Some(task) = self.tasks.first() else {
            return;
        };
        let mut w = io.writer();
        w.open_ns("continue", ns::SASL2);
        if let Some(data) = data {
            w.leaf("additional-data", &base64(data));
        }
        w.open("tasks").leaf("task", task.upgrade_name()).close();
        w.close();
    }

    /// True: all is done.
    pub fn handle(&mut self, root: ElementRef<'_>, io: &mut Io<'_>) -> Result<bool, SaslFailure> {
        let malformed = |text| SaslFailure::new(SaslCondition::MalformedRequest).text(text);
        let task = *self
            .tasks
            .first()
            .ok_or_else(|| malformed("There is nothing left to do."))?;
        match (root.name(), self.salt) {
            ("next", None) => {
                if root.attribute("task").as_deref() != Some(task.upgrade_name()) {
                    return Err(malformed("This is not the task that was named."));
                }
                self.tell_salt(io);
                Ok(false)
            }
            ("task-data", Some(salt)) => {
                let salted = salted_password(root)
                    .filter(|salted| salted.len() == task.output_bytes())
                    .ok_or_else(|| malformed("This is no hash for the task."))?;
                let hashed = HashedPassword {
                    salt,
                    iterations: io.settings.scram_iterations,
                    keys: keys::keys_of_salted(&salted, task),
                };
                self.done.push(Upgrade { hash: task, hashed });
                self.tasks.remove(0);
                self.salt = None;
                self.name_task(None, io);
                Ok(self.tasks.is_empty())
            }
            _ => Err(malformed("This was not the turn for it.")),
        }
    }

    /// §3: what the client derives its hash with.
    fn tell_salt(&mut self, io: &mut Io<'_>) {
        let mut salt = [0; 16];
        io.entropy.fill(&mut salt);
        self.salt = Some(salt);
        let iterations = io.settings.scram_iterations.to_string();
        let mut w: Writer<'_> = io.writer();
        w.open_ns("task-data", ns::SASL2);
        w.open_ns("salt", ns::SCRAM_UPGRADE)
            .attr("iterations", &iterations)
            .text(&base64(salt))
            .close();
        w.close();
    }
}

impl Auth {
    /// XEP-0480: one more element of a task, of somebody whose right still stands.
    pub(super) fn upgrade(
        &self,
        mut upgrading: Upgrading,
        root: ElementRef<'_>,
        io: &mut Io<'_>,
    ) -> Result<Progress, Refusal> {
        let account = upgrading.success.account.clone();
        match upgrading.handle(root, io) {
            Ok(true) => Ok(self.complete(upgrading.success, upgrading.done, io)),
            Ok(false) => Ok(Progress::To(Exchange::Upgrading(upgrading))),
            Err(failure) => Err(Refusal {
                account: Some(account),
                failure,
            }),
        }
    }
}

fn salted_password(root: ElementRef<'_>) -> Option<Vec<u8>> {
    let hash = root.child("hash", ns::SCRAM_UPGRADE)?;
    from_base64(hash.only_text()?.trim()).ok()
}

impl ScramHash {
    /// The name of the task that renews what is stored for this hash (§2.1).
    pub(in super::super) fn upgrade_name(self) -> &'static str {
        match self {
            ScramHash::Sha1 => "UPGR-SCRAM-SHA-1",
            ScramHash::Sha256 => "UPGR-SCRAM-SHA-256",
            ScramHash::Sha512 => "UPGR-SCRAM-SHA-512",
        }
    }

    pub(super) fn of_upgrade(name: &str) -> Option<ScramHash> {
        ScramHash::ALL
            .into_iter()
            .find(|hash| hash.upgrade_name() == name)
    }
}
