//! An own way of writing, beside those of the notation.

use std::fmt::Debug;
use std::sync::Arc;

use super::Order;

/// How an application writes to its region of memory, told twice: in expected counts, and write by
/// write.
///
/// A migration sees only *distinct* pages, so expected counts need no more than the region broken
/// into parts whose pages are written alike. Replayed page by page ([`Fidelity::Page`] of the
/// simulator), the n-th write falls on [`Writes::page`].
///
/// [`Fidelity::Page`]: https://docs.rs/migsim/latest/migsim/engine/enum.Fidelity.html
pub trait Writes: Debug + Send + Sync {
    /// The parts in the order of memory: pages, writes per second, and whether these fall at random
    /// or one after the other.
    fn parts(&self) -> Vec<Part>;

    /// The page, from 0, that write number `n` falls on; `chance` is drawn evenly from 0 to below
    /// 1.
    fn page(&self, n: u64, chance: f64) -> u64;
}

/// Pages next to each other that are written alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// How many, at least 1.
    pub pages: u64,
    /// Writes to them in a second of the writer's work, not below zero.
    pub rate: f64,
    /// In what order.
    pub order: Order,
}

/// An own way of writing as a pattern of a term.
#[derive(Debug, Clone)]
pub struct Own(Arc<dyn Writes>);

impl Own {
    /// Makes a pattern of it.
    pub fn new(writes: impl Writes + 'static) -> Own {
        Own(Arc::new(writes))
    }

    /// What it is.
    pub fn writes(&self) -> &dyn Writes {
        &*self.0
    }

    /// All its pages.
    pub fn pages(&self) -> u64 {
        self.0.parts().iter().map(|part| part.pages).sum()
    }
}

/// The same thing, not one like it.
impl PartialEq for Own {
    fn eq(&self, other: &Own) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
