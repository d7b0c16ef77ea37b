//! What becomes of channels whatever is said in them: the operator, a restart, accounts that go, and what is left of one that went.
pub mod forget;
pub mod operate;
pub mod restart;
pub mod tombstone;
