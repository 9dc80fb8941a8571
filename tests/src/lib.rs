//! The integration tests of the workspace are in `all/`.
