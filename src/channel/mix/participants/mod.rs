//! Who takes part: how somebody comes to, under which nick, what they want others to know, and how they cease to.
pub mod invitations;
pub mod join;
pub mod leave;
pub mod nick;
pub mod preferences;
pub mod registered;
pub mod told;
