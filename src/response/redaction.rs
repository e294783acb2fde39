//! A message without the values that a rule redacts: by the names of members, at any depth, in each
//! copy.
//!
//! What cannot be looked through could hold any of them, so it is withheld whole: text that is no
//! JSON, and what is encoded in base64. All other bytes pass as they are.

mod ids;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::error::{ResponseError, room};
use super::lists::{LIMITS, ListFilter, Scan, View};
use crate::json::{self, JsonError, folded};
pub(super) use ids::unmarked;
pub use ids::{mark_cancelled, mark_ids};

/// What stands in place of a string.
const REDACTED: &str = "\"[redacted]\"";

/// The same in base64.
const REDACTED_BLOB: &str = "\"W3JlZGFjdGVkXQ==\"";

/// In place of an image or sound: a content block without text would be none.
const REDACTED_BLOCK: &str = r#"{"type":"text","text":"[redacted]"}"#;

/// How deep JSON may stand in strings of JSON.
const NESTED: usize = 4;

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// The names of the members that lose their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction(BTreeSet<Box<str>>);

/// A text, redacted.
#[derive(Debug, PartialEq, Eq)]
pub struct Redacted {
    /// What is left.
    pub text: String,
    /// How many values are not.
    pub count: u64,
}

impl Redaction {
    /// The redaction of members with these names, compared as parsers do that ignore case.
    #[must_use]
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(|name| folded(name.into()).as_ref().into());
        Self(names.collect())
    }

    /// The names that this redacts, folded, and `other` does not.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn beyond<'a>(&'a self, other: Option<&'a Self>) -> impl Iterator<Item = &'a str> {
        let names = self.0.iter().map(AsRef::as_ref);
        names.filter(move |name: &&str| other.is_none_or(|other| !other.0.contains(*name)))
    }

    /// What either redacts, if any does.
    #[must_use]
    pub fn of_both(one: Option<Rc<Self>>, other: Option<Rc<Self>>) -> Option<Rc<Self>> {
        match (one, other) {
            (Some(one), Some(other)) if one != other => {
                Some(Rc::new(Self(one.0.union(&other.0).cloned().collect())))
            }
            (one, other) => one.or(other),
        }
    }

    /// Redacts a message or a batch.
    ///
    /// # Errors
    /// It is not JSON that every parser reads alike.
    pub fn apply(&self, message: &[u8]) -> Result<Redacted, JsonError> {
        json::check(message, &LIMITS)?;
        let message = std::str::from_utf8(message).map_err(|_| JsonError::NotUtf8)?;
        self.redact(message, Place::Message, 0)
    }

    /// Redacts sound JSON that stands in so many strings.
    fn redact(&self, text: &str, place: Place, nested: usize) -> Result<Redacted, JsonError> {
        let mut writer = Writer::new(self, text, nested);
        writer.blanks();
        writer.value(place)?;
        writer.blanks();
        Ok(Redacted { text: writer.out, count: writer.count })
    }
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A message, or a batch of them.
    Message,
    /// What MCP defines.
    Protocol,
    /// What MCP leaves to servers: every value has its name.
    Data,
    /// The data of a tool's result, in `structuredContent` or in a text. SDKs put what is no object into
    /// a member `result`: prose, say.
    Structured,
    /// Data without a name of its own: a string here is free text.
    Unnamed,
    /// A string here is free text.
    Text,
    /// A string here is base64.
    Blob,
}

/// Members of a message that keep their values, lest it answers nothing.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Members by which MCP leaves objects and their schemas to servers, or describes what is there.
const DATA: [&str; 7] =
    ["_meta", "input", "requestedSchema", "tools", "prompts", "resources", "resourceTemplates"];

/// Members that hold free text, folded: of content blocks, resources, prompts, tasks, completions,
/// log messages, progress, errors and the server's own requests. `msg` is how a widespread SDK logs,
/// and `toolresult` is of a revision that had no blocks.
const TEXT: [&str; 16] = [
    "text",
    "content",
    "toolresult",
    "message",
    "msg",
    "data",
    "description",
    "title",
    "statusmessage",
    "systemprompt",
    "instructions",
    "reason",
    "values",
    "error",
    "result",
    "params",
];

impl Place {
    /// Whether a name tells what a string or number here is.
    fn is_named(self) -> bool {
        !matches!(self, Self::Structured | Self::Unnamed | Self::Text | Self::Blob)
    }

    /// The place of a member. Some reader may take a name for another that differs in case.
    fn member(self, name: &str, folded: &str) -> Self {
        match self {
            Self::Structured if folded == "result" => Self::Unnamed,
            Self::Data | Self::Structured | Self::Unnamed => Self::Data,
            Self::Message if ["jsonrpc", "id", "method"].contains(&name) => Self::Data,
            Self::Message => Self::Text,
            _ if DATA.contains(&name) => Self::Data,
            _ if folded == "structuredcontent" => Self::Structured,
            _ if folded == "blob" => Self::Blob,
            _ if TEXT.contains(&folded) => Self::Text,
            _ => Self::Protocol,
        }
    }
}

/// Copies sound JSON, and withholds some of it.
struct Writer<'a> {
    redaction: &'a Redaction,
    nested: usize,
    rest: &'a str,
    out: String,
    count: u64,
}

impl<'a> Writer<'a> {
    fn new(redaction: &'a Redaction, text: &'a str, nested: usize) -> Self {
        let out = String::with_capacity(text.len());
        Self { redaction, nested, rest: text, out, count: 0 }
    }

    fn value(&mut self, place: Place) -> Result<(), JsonError> {
        match (self.peek(), place) {
            (Some(b'{'), _) => self.object(place),
            (Some(b'['), _) => self.array(place),
            (Some(b'"'), _) => self.string(place),
            (Some(b'-' | b'0'..=b'9'), place) if !place.is_named() => {
                self.take();
                self.withhold("null");
                Ok(())
            }
            _ => match self.take() {
                "" => Err(JsonError::Syntax),
                value => {
                    self.out.push_str(value);
                    Ok(())
                }
            },
        }
    }

    fn object(&mut self, place: Place) -> Result<(), JsonError> {
        let (start, count) = (self.out.len(), self.count);
        let mut is_media = false;
        self.members(|writer, name| {
            let name_folded = folded(Cow::Borrowed(name));
            let is_message = place == Place::Message;
            if writer.redaction.0.contains(&*name_folded)
                && !(is_message && ENVELOPE.contains(&name))
            {
                match writer.take() {
                    "null" => writer.out.push_str("null"),
                    value if value.starts_with('"') => writer.withhold(REDACTED),
                    _ => writer.withhold("null"),
                }
                return Ok(());
            }
            if is_message && name == "id" && writer.unmark() {
                return Ok(());
            }
            let is_data = matches!(place, Place::Data | Place::Structured | Place::Unnamed);
            if !is_data && name == "type" {
                let media = ["\"image\"", "\"audio\""];
                is_media |= media.iter().any(|kind| writer.rest.starts_with(kind));
            }
            writer.value(place.member(name, &name_folded))
        })?;
        if is_media {
            self.out.truncate(start);
            self.count = count;
            self.withhold(REDACTED_BLOCK);
        }
        Ok(())
    }

    fn array(&mut self, place: Place) -> Result<(), JsonError> {
        self.elements(|writer| writer.value(place))
    }

    /// Copies an object, but for the values of its members, which are given by name.
    fn members(
        &mut self,
        mut value: impl FnMut(&mut Self, &str) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.elements(|writer| {
            let name = writer.take();
            writer.out.push_str(name);
            writer.peek_past_blanks()?;
            writer.pass(1);
            writer.peek_past_blanks()?;
            value(writer, &unescape(name)?)
        })
    }

    /// Copies an object or array, but for what stands between its commas.
    fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.pass(1);
        loop {
            match self.peek_past_blanks()? {
                b'}' | b']' => break,
                b',' => self.pass(1),
                _ => element(self)?,
            }
        }
        self.pass(1);
        Ok(())
    }

    fn string(&mut self, place: Place) -> Result<(), JsonError> {
        let raw = self.take();
        if place == Place::Blob {
            self.withhold(REDACTED_BLOB);
            return Ok(());
        }
        let text = unescape(raw)?;
        match self.look_through(&text, place)? {
            None => self.withhold(REDACTED),
            Some(Redacted { count: 0, .. }) => self.out.push_str(raw),
            Some(Redacted { text, count }) => {
                let escaped = serde_json::to_string(&text).map_err(|_| JsonError::Syntax)?;
                self.out.push_str(&escaped);
                self.count = self.count.saturating_add(count);
            }
        }
        Ok(())
    }

    /// What is left of a string. None if it may hold what cannot be found.
    fn look_through(&self, text: &str, place: Place) -> Result<Option<Redacted>, JsonError> {
        let plain = || Ok(Some(Redacted { text: String::new(), count: 0 }));
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        match (start.as_bytes().first(), place) {
            (None, _) => return plain(),
            (Some(b'{' | b'['), _) => {}
            _ if !place.is_named() => return Ok(None),
            (Some(b'"'), _) => {}
            _ => return plain(),
        }
        let nested = self.nested.saturating_add(1);
        // What is no JSON here may be JSON to a reader that is less strict.
        if nested > NESTED || json::check(text.as_bytes(), &LIMITS).is_err() {
            return Ok(None);
        }
        // What has no name out here has none in there.
        let place = if place.is_named() { Place::Data } else { Place::Structured };
        self.redaction.redact(text, place, nested).map(Some)
    }

    fn withhold(&mut self, with: &str) {
        self.out.push_str(with);
        self.count = self.count.saturating_add(1);
    }

    fn peek(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    fn peek_past_blanks(&mut self) -> Result<u8, JsonError> {
        self.blanks();
        self.peek().ok_or(JsonError::Syntax)
    }

    fn blanks(&mut self) {
        let value = self.rest.trim_start_matches(BLANKS);
        self.pass(self.rest.len().saturating_sub(value.len()));
    }

    fn pass(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.out.push_str(passed);
        self.rest = rest;
    }

    /// The next value, which does not pass by itself.
    fn take(&mut self) -> &'a str {
        let (length, _) = Scan::default().take(self.rest.as_bytes());
        let (value, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        value
    }
}

fn unescape(string: &str) -> Result<Cow<'_, str>, JsonError> {
    let plain = string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match plain.filter(|plain| !plain.contains('\\')) {
        Some(plain) => Ok(Cow::Borrowed(plain)),
        None => serde_json::from_str(string).map(Cow::Owned).map_err(|_| JsonError::Syntax),
    }
}

/// Holds one JSON text until it is whole, and lets it pass redacted and filtered.
#[derive(Debug)]
pub struct WholeFilter {
    /// The longest text, in bytes.
    longest: usize,
    held: Vec<u8>,
    scan: Scan,
    has_passed: bool,
}

impl WholeFilter {
    /// A filter that holds at most `longest` bytes.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self { longest, held: Vec::new(), scan: Scan::default(), has_passed: false }
    }

    /// Takes the next chunk and appends to `out` what may pass: with its end all of the text, so
    /// that what comes in one piece fails before anything has passed.
    ///
    /// # Errors
    /// Why the text cannot be filtered. Then the filter is of no more use.
    pub fn chunk(
        &mut self,
        chunk: &[u8],
        view: View,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        let chunk = if self.held.is_empty() { chunk.trim_ascii_start() } else { chunk };
        if self.has_passed || chunk.is_empty() {
            let is_over = chunk.trim_ascii().is_empty();
            return if is_over { Ok(()) } else { Err(JsonError::Syntax.into()) };
        }
        if self.held.is_empty() && !chunk.starts_with(b"{") && !chunk.starts_with(b"[") {
            return Err(ResponseError::NotAMessage);
        }
        let (length, is_whole) = self.scan.take(chunk);
        let (piece, after) = chunk.split_at_checked(length).unwrap_or((chunk, &[]));
        room(&self.held, piece, self.longest)?;
        self.held.extend_from_slice(piece);
        if !is_whole {
            return Ok(());
        }
        self.has_passed = true;
        if !after.trim_ascii().is_empty() {
            return Err(JsonError::Syntax.into());
        }
        filter(&std::mem::take(&mut self.held), self.longest, view, out)
    }

    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// The text ends here. A text of no value at all is none that shows anything.
    ///
    /// # Errors
    /// [`ResponseError::Truncated`] if its value does not.
    pub fn finish(&self) -> Result<(), ResponseError> {
        if self.held.is_empty() { Ok(()) } else { Err(ResponseError::Truncated) }
    }
}

/// Appends to `out` what of a whole text may pass, redacted if it is to be.
pub(super) fn filter(
    text: &[u8],
    longest: usize,
    view: View,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    let redacted = view.redact.filter(|_| !text.trim_ascii().is_empty());
    let text = match redacted {
        Some(redact) => Cow::Owned(redact(text)?.into_bytes()),
        None => Cow::Borrowed(text),
    };
    let mut filter = ListFilter::new(longest);
    filter.chunk(&text, view, out)?;
    filter.finish()
}
