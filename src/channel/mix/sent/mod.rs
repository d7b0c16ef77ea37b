//! How what a channel says reaches those who take part.
pub mod deliver;
pub mod fan_out;
pub mod presence;
pub mod shown;
