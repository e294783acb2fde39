//! JSON-RPC body in, MCP operation out.
//!
//! [`parse`] guarantees: a body is refused, or every server reads from it the very method and
//! object that the [`Operation`] names. Then the body goes upstream byte for byte: it is never
//! written anew, for that would launder what the reader overlooked.

mod draft;
mod error;
pub mod json;
pub mod media;
mod message;
mod method;
#[cfg(test)]
mod tests;

pub use error::BodyError;
pub use json::Limits;
pub use message::{Id, Object, Operation, parse};
pub use method::{Class, Method};
