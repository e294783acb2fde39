//! JSON-RPC body in, MCP operation out, by the rules of the request's [`Revision`].
//!
//! [`read`] guarantees: a body is refused, or every server reads from it the very methods and
//! objects that its [`Operation`]s name. Then the body goes upstream byte for byte: it is never
//! written anew, for that would launder what the reader overlooked. Only the ids of tasks, which a
//! client holds sealed ([`task`](crate::task)), give way to the MCP server's, the ids of requests whose
//! answers lose something get a mark ([`mark_ids`](crate::response::mark_ids)), and what `initialize`
//! offers gives way to what is served ([`Offer`]).

mod draft;
mod error;
mod header;
mod list;
mod media;
mod message;
mod method;
mod response;
mod revision;
mod task;
#[cfg(test)]
mod tests;

pub use error::BodyError;
pub use header::{ARGUMENT_HEADER, HeaderError, MirroredHeaders, encode as encode_name};
pub use list::List;
pub use media::{MediaError, check_content_encoding, check_content_type, check_media_type};
pub use message::{Body, Id, MARKED, Object, Operation, is_name, read, read_id};
pub use method::{Class, Method};
pub use response::{Response, ServerRequest};
pub use revision::{Offer, Revision, UnsupportedRevision};
pub use task::{Origin, RELATED_TASK, Task};
