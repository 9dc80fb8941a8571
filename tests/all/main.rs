//! All integration tests, in one binary: a module for each topic.

mod fidelity;
