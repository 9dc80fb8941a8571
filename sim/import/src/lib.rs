//! What other tools write of virtual machines and their migrations, read for migsim.
//!
//! Begin with [`Source::read`], which decodes a file, and [`recognise`], which says what it is.
//! [`Site`] gathers the guests and hosts of any number of files and writes a fleet;
//! [`runs`] reads migrations that were made, or are under way.

mod kind;
mod number;
mod run;
mod site;
mod source;
mod table;

pub use kind::{Kind, Use, recognise};
pub use run::{FoundRun, runs};
pub use site::{FleetFiles, Given, Site};
pub use source::Source;
