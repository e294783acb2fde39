//! Whole transactions without a host: events in, steps out, under a clock of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    clippy::format_push_string,
    clippy::similar_names,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod answers;
mod audiences;
mod clients;
mod eras;
mod exchange;
mod explained;
mod failures;
mod intake;
mod keys;
mod lists;
mod marks;
mod objects;
mod policies;
mod profiles;
mod redaction;
mod replies;
mod sessions;
mod shadow;
mod stage;
mod states;
mod tasks;
mod tokens;
mod workers;
