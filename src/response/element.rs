//! An element of a list: which object it stands for, and whether it is fit to be shown.

use std::collections::BTreeSet;

use super::ResponseError;
use super::lists::{LIMITS, check_name};
use crate::json::{JsonError, Observer, Token, walk};
use crate::mcp::List;
use crate::request::is_token;

/// What is read of an element.
pub(super) struct Element {
    /// By what requests name the object.
    pub(super) key: Box<str>,
    /// Whether the headers that a tool asks clients for are harmless.
    pub(super) is_sound: bool,
}

pub(super) fn read_element(text: &[u8], list: List) -> Result<Element, ResponseError> {
    let known = [list.key(), "inputSchema"];
    let known = if list == List::Tools { &known[..] } else { &known[..1] };
    let reader = Reader { known: known.into(), key: None, headers: Headers::default() };
    let reader = walk(text, &LIMITS, reader, Place::Element)?;
    let key = reader.key.ok_or(ResponseError::Nameless)?;
    Ok(Element { key, is_sound: !reader.headers.is_harmful })
}

struct Reader {
    known: Box<[&'static str]>,
    key: Option<Box<str>>,
    headers: Headers,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Element,
    Key,
    /// A JSON schema, or an array of them.
    Schema,
    /// An object whose members are schemas, by names that are not the schema's own.
    Schemas,
    /// The header by which a client is to mirror an argument (MCP 2026-07-28, tools).
    Header,
    Other,
}

impl Observer for Reader {
    type Place = Place;

    fn member(&mut self, place: Place, name: &str) -> Result<Place, JsonError> {
        match place {
            Place::Element => {
                check_name(name, self.known.iter().copied())?;
                let position = self.known.iter().position(|known| *known == name);
                Ok(match position {
                    Some(0) => Place::Key,
                    Some(_) => Place::Schema,
                    None => Place::Other,
                })
            }
            Place::Schema => Ok(match name {
                "x-mcp-header" => Place::Header,
                "properties" | "patternProperties" | "$defs" | "definitions"
                | "dependentSchemas" => Place::Schemas,
                "const" | "default" | "enum" | "examples" => Place::Other,
                _ => Place::Schema,
            }),
            Place::Schemas => Ok(Place::Schema),
            Place::Key | Place::Header | Place::Other => Ok(Place::Other),
        }
    }

    fn element(&mut self, place: Place) -> Place {
        if place == Place::Schema { Place::Schema } else { Place::Other }
    }

    fn value(&mut self, place: Place, token: Token<'_>) {
        match (place, token) {
            (Place::Key, Token::String(key)) => self.key = Some(key.into()),
            (Place::Header, Token::String(name)) => self.headers.add(name),
            (Place::Header, _) => self.headers.is_harmful = true,
            _ => {}
        }
    }
}

/// The headers that one tool asks for.
#[derive(Default)]
struct Headers {
    names: BTreeSet<String>,
    is_harmful: bool,
}

/// Names that mean something to a server or to what stands before it.
const RESERVED: [&str; 14] = [
    "accept",
    "authorization",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
const RESERVED_PREFIXES: [&str; 7] =
    ["content-", "mcp-", "proxy-", "sec-", "x-envoy-", "x-forwarded-", "x-real-"];

impl Headers {
    fn add(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        let is_reserved = RESERVED.contains(&&*name)
            || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        self.is_harmful |= is_reserved || !is_token(&name) || !self.names.insert(name);
    }
}
