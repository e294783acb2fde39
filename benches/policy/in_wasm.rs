//! What pushes cost in WebAssembly, as JSON: a part of `make bench-policy`. It is an example and no
//! benchmark, since for those Cargo builds the tool too, which is native.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, dead_code, missing_docs)]

mod push;
#[path = "../../tests/flow/stage.rs"]
mod stage;

fn main() {
    println!("{}", serde_json::json!(push::measure("wasm")));
}
