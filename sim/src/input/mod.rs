//! What people write: scenarios, host profiles, tables; and what is wrong with it, where.
//!
//! Begin with [`Scenario::read`] for a file and [`Case::from_toml`] for a text.

mod cells;
mod error;
mod json;
mod keys;
mod profile;
mod scenario;
mod text;
mod toml;

pub(crate) use cells::Cells;
pub use error::{InputError, Mistakes, not_modelled};
pub(crate) use error::{line_of_key, whole_table};
pub use json::JsonQuestion;
pub use keys::{Flag, GuestKeys, Key, Keys, Kind, LinkKeys, MigrationKeys, Table, ThrottleKeys};
pub use migsim_models::text::{quoted, shown};
pub use profile::profile_or_default;
pub use scenario::{Case, Scenario};
pub(crate) use text::nearest;
pub use text::{Rows, Separated, read_file, uneven};
pub(crate) use toml::from_toml;
