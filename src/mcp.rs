//! JSON-RPC body in, MCP operation out.
//!
//! [`parse`] guarantees: a body is refused, or every server reads from it the very method and
//! object that the [`Operation`] names. Then the body goes upstream byte for byte: it is never
//! written anew, for that would launder what the reader overlooked.

mod draft;
mod error;
mod header;
mod list;
mod media;
mod message;
mod method;
mod response;
#[cfg(test)]
mod tests;

pub use error::BodyError;
pub use header::{HeaderError, MirroredHeaders};
pub use list::List;
pub use media::{MediaError, check_content_encoding, check_content_type};
pub use message::{Id, Object, Operation, is_name, parse};
pub use method::{Class, Method};
pub use response::{Response, ServerRequest};
