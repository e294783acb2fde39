//! The policy language against a naive reading of `docs/policy.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    clippy::cast_precision_loss,
    dead_code,
    missing_docs,
    reason = "a test fails by panicking, and needs a part of the stage alone"
)]

mod differential;
mod generator;
mod reference;
#[path = "../flow/stage.rs"]
mod stage;
