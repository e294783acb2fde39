//! A JSON-RPC message, without the elements of its lists that a caller may not see, and with the
//! caller's ids of the tasks that it names.
//!
//! It works on a stream: chunks go in, chunks come out. Between containers that can hold a list
//! (batch, message, `result`, the list itself) it follows the grammar byte by byte. Every other
//! value is a *token*: held until it is complete, read, then passed as it is or left out.
//! So memory is bounded by the largest token, and no byte passes that was not understood.

use std::collections::BTreeSet;

use memchr::memchr2;

use super::element::read_element;
use super::error::{ResponseError, room};
use super::redaction::unmarked;
use super::tasks;
use crate::json::{self, JsonError, Limits, folded, is_variant};
use crate::mcp::List;
use crate::task::TaskError;

/// What the caller may see.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Says whether a list shows the object whose key is given.
    pub shows: &'a dyn Fn(List, &str) -> bool,
    /// Gives the caller's id for the MCP server's of a task, and is told whether a result names it.
    pub seal: &'a dyn Fn(&str, bool) -> Result<String, TaskError>,
    /// Redacts a message, if messages are to be redacted.
    pub redact: Option<&'a RedactMessage<'a>>,
}

/// Gives what is left of a message.
pub type RedactMessage<'a> = dyn Fn(&[u8]) -> Result<String, JsonError> + 'a;

/// Bounds on one token. Its bytes are bounded too, so these are wide: schemas are large, and tables.
pub(super) const LIMITS: Limits = Limits { depth: 64, members: 400_000, values: 1_000_000 };

/// The longest name that a member of a message or result may have, in bytes, escapes included.
const NAME_BYTES: usize = 256;

/// What holding a name takes beside its bytes, more or less.
const NAME_OVERHEAD: usize = 32;

/// How many members a message or result may have.
const MEMBERS: usize = 1_000;

/// Filters the lists of one JSON text, and seals the ids of tasks.
#[derive(Debug)]
pub struct ListFilter {
    /// The longest token, in bytes.
    longest: usize,
    /// The containers that are open here, the innermost last.
    open: Vec<Container>,
    expect: Expect,
    scan: Option<Scan>,
    /// What came of the token that is being read.
    token: Vec<u8>,
    /// What stands before the next element of a list. It goes where that element goes.
    gap: Vec<u8>,
}

#[derive(Debug)]
enum Container {
    Batch,
    Message(Names),
    Result(Names),
    List { list: List, shown: bool },
}

impl Container {
    fn held(&self) -> usize {
        match self {
            Self::Message(names) | Self::Result(names) => {
                names.iter().map(|name| name.len().saturating_add(NAME_OVERHEAD)).sum()
            }
            Self::Batch | Self::List { .. } => 0,
        }
    }
}

/// The folded names of an object's members so far.
type Names = BTreeSet<Box<str>>;

/// What the grammar allows next.
#[derive(Clone, Copy, Debug)]
enum Expect {
    Value(Place),
    ValueOrEnd(Place),
    Name,
    NameOrEnd,
    Colon(Place),
    CommaOrEnd,
    Nothing,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A message, or a batch of them (JSON-RPC 2.0 section 6; MCP 2025-03-26).
    Root,
    Message,
    Result,
    List(List),
    Element(List),
    /// The id of a request, which may have gone up with a mark.
    RequestId,
    /// What can name a task.
    Named(tasks::Place),
    /// Who may share a cached result (MCP 2026-07-28, caching).
    CacheScope,
    Other,
}

impl ListFilter {
    /// A filter that holds at most `longest` bytes of one value.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self {
            longest,
            open: Vec::new(),
            expect: Expect::Value(Place::Root),
            scan: None,
            token: Vec::new(),
            gap: Vec::new(),
        }
    }

    /// Takes the next chunk and appends to `out` what may pass.
    ///
    /// # Errors
    /// Why the text cannot be filtered. Then the filter is of no more use.
    pub fn chunk(
        &mut self,
        chunk: &[u8],
        view: View,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        let mut rest = chunk;
        while let Some(&byte) = rest.first() {
            let Some(scan) = &mut self.scan else {
                if self.begins_token(byte)? {
                    self.scan = Some(Scan::default());
                } else {
                    self.structure(byte, out)?;
                    rest = rest.get(1..).unwrap_or_default();
                }
                continue;
            };
            let (length, ended) = scan.take(rest);
            let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            room(&self.token, piece, self.longest)?;
            if !ended {
                self.token.extend_from_slice(piece);
                break;
            }
            self.scan = None;
            if self.token.is_empty() {
                self.end_token(piece, view, out)?;
            } else {
                let mut token = std::mem::take(&mut self.token);
                token.extend_from_slice(piece);
                self.end_token(&token, view, out)?;
            }
        }
        Ok(())
    }

    pub(super) fn held(&self) -> usize {
        let names = self.open.iter().map(Container::held);
        [self.token.capacity(), self.gap.capacity()].into_iter().chain(names).sum()
    }

    /// The text ends here. A text of no value at all is none that shows anything.
    ///
    /// # Errors
    /// [`ResponseError::Truncated`] if its value does not.
    pub fn finish(&self) -> Result<(), ResponseError> {
        match self.expect {
            Expect::Nothing | Expect::Value(Place::Root) => Ok(()),
            _ => Err(ResponseError::Truncated),
        }
    }

    /// Whether a token begins with `byte`; an error if that can be no value here.
    fn begins_token(&self, byte: u8) -> Result<bool, ResponseError> {
        let (place, may_end) = match self.expect {
            Expect::Value(place) => (place, false),
            Expect::ValueOrEnd(place) => (place, true),
            Expect::Name | Expect::NameOrEnd => return Ok(byte == b'"'),
            _ => return Ok(false),
        };
        match (place, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r')
            | (Place::Root | Place::List(_), b'[')
            | (Place::Root | Place::Message | Place::Result, b'{') => Ok(false),
            (_, b']') if may_end => Ok(false),
            (Place::Root | Place::Message | Place::Result, _) => Err(ResponseError::NotAMessage),
            (Place::List(_), _) => Err(ResponseError::NotAList),
            (_, b']' | b'}' | b',') => Err(JsonError::Syntax.into()),
            (
                Place::Element(_)
                | Place::RequestId
                | Place::Named(_)
                | Place::CacheScope
                | Place::Other,
                _,
            ) => Ok(true),
        }
    }

    /// Takes a byte that belongs to no token.
    fn structure(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        match (byte, self.expect, self.open.last()) {
            (b' ' | b'\t' | b'\n' | b'\r', ..) => {}
            (b'{', Expect::Value(Place::Result), _) => {
                self.enter(Container::Result(Names::new()), Expect::NameOrEnd);
            }
            (b'{', Expect::Value(_) | Expect::ValueOrEnd(_), _) => {
                self.enter(Container::Message(Names::new()), Expect::NameOrEnd);
            }
            (b'[', Expect::Value(Place::List(list)), _) => {
                out.push(byte);
                let elements = Expect::ValueOrEnd(Place::Element(list));
                self.enter(Container::List { list, shown: false }, elements);
                return Ok(());
            }
            (b'[', Expect::Value(_), _) => {
                self.enter(Container::Batch, Expect::ValueOrEnd(Place::Message));
            }
            (b':', Expect::Colon(place), _) => self.expect = Expect::Value(place),
            (b',', Expect::CommaOrEnd, Some(container)) => {
                self.expect = match container {
                    Container::Batch => Expect::Value(Place::Message),
                    Container::List { list, .. } => Expect::Value(Place::Element(*list)),
                    Container::Message(_) | Container::Result(_) => Expect::Name,
                };
            }
            (
                b'}',
                Expect::NameOrEnd | Expect::CommaOrEnd,
                Some(Container::Message(_) | Container::Result(_)),
            )
            | (
                b']',
                Expect::ValueOrEnd(_) | Expect::CommaOrEnd,
                Some(Container::Batch | Container::List { .. }),
            ) => {
                self.open.pop();
                let outermost = self.open.is_empty();
                self.expect = if outermost { Expect::Nothing } else { Expect::CommaOrEnd };
                out.append(&mut self.gap);
            }
            _ => return Err(JsonError::Syntax.into()),
        }
        match self.open.last() {
            Some(Container::List { .. }) if self.gap.len() >= self.longest => {
                return Err(ResponseError::TooLarge);
            }
            Some(Container::List { .. }) => self.gap.push(byte),
            _ => out.push(byte),
        }
        Ok(())
    }

    fn enter(&mut self, container: Container, expect: Expect) {
        self.open.push(container);
        self.expect = expect;
    }

    fn end_token(
        &mut self,
        token: &[u8],
        view: View,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        match self.expect {
            Expect::Name | Expect::NameOrEnd => {
                self.expect = Expect::Colon(self.name(token)?);
                out.extend_from_slice(token);
                return Ok(());
            }
            Expect::Value(Place::Element(list)) | Expect::ValueOrEnd(Place::Element(list)) => {
                let is_shown = match read_element(token, list) {
                    Ok(element) => element.is_sound && (view.shows)(list, &element.key),
                    // Nobody can be sure what it is, so nobody sees it; the others they do.
                    Err(ResponseError::Json(_)) => json::check_syntax(token).map(|()| false)?,
                    Err(error) => return Err(error),
                };
                self.pass_element(token, is_shown, out);
            }
            Expect::Value(Place::RequestId) if let Some(given) = unmarked(token) => {
                out.extend_from_slice(given.as_bytes());
            }
            Expect::Value(Place::Named(place)) => tasks::seal(token, place, view, out)?,
            Expect::Value(Place::CacheScope) if is_public(token)? => {
                // What is shown to one caller is not for others.
                out.extend_from_slice(b"\"private\"");
            }
            _ => {
                // It can name nothing that matters here, so it may be ambiguous: a tool's result,
                // say.
                json::check_syntax(token)?;
                out.extend_from_slice(token);
            }
        }
        self.expect = Expect::CommaOrEnd;
        Ok(())
    }

    fn pass_element(&mut self, element: &[u8], is_shown: bool, out: &mut Vec<u8>) {
        if let Some(Container::List { shown, .. }) = self.open.last_mut()
            && is_shown
        {
            // No comma before the first one that is shown.
            let gap = self.gap.iter().filter(|byte| *shown || **byte != b',');
            out.extend(gap);
            out.extend_from_slice(element);
            *shown = true;
        }
        self.gap.clear();
    }

    /// What the value of the member with this name is, if it may have that name.
    fn name(&mut self, token: &[u8]) -> Result<Place, ResponseError> {
        if token.len() > NAME_BYTES {
            return Err(ResponseError::TooLarge);
        }
        let name: String = serde_json::from_slice(token).map_err(|_| JsonError::Syntax)?;
        let (names, places): (_, &[(&str, Place)]) = match self.open.last_mut() {
            Some(Container::Message(names)) => (names, &MESSAGE),
            Some(Container::Result(names)) => (names, &RESULT),
            _ => return Err(JsonError::Syntax.into()),
        };
        if names.len() >= MEMBERS {
            return Err(JsonError::TooManyMembers.into());
        }
        if !names.insert(folded(name.as_str().into()).into()) {
            return Err(JsonError::DuplicateMember.into());
        }
        check_name(&name, places.iter().map(|(known, _)| *known))?;
        let place = places.iter().find(|(known, _)| *known == name);
        Ok(place.map_or(Place::Other, |(_, place)| *place))
    }
}

const MESSAGE: [(&str, Place); 3] = [
    ("id", Place::RequestId),
    ("result", Place::Result),
    ("params", Place::Named(tasks::Place::Params)),
];

const RESULT: [(&str, Place); 8] = [
    ("tools", Place::List(List::Tools)),
    ("prompts", Place::List(List::Prompts)),
    ("resources", Place::List(List::Resources)),
    ("resourceTemplates", Place::List(List::ResourceTemplates)),
    ("cacheScope", Place::CacheScope),
    ("taskId", Place::Named(tasks::Place::Id)),
    ("task", Place::Named(tasks::Place::Task)),
    ("_meta", Place::Named(tasks::Place::Meta)),
];

/// Refuses a name that some reader takes for a known one, or for more than a name.
pub(super) fn check_name<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<(), JsonError> {
    if name.chars().any(char::is_control) {
        Err(JsonError::ControlCharacter)
    } else if ["__proto__", "constructor"].contains(&name) {
        Err(JsonError::PrototypeMember)
    } else if known.into_iter().any(|known| is_variant(name, known)) {
        Err(JsonError::NameVariant)
    } else {
        Ok(())
    }
}

fn is_public(token: &[u8]) -> Result<bool, JsonError> {
    json::check(token, &LIMITS)?;
    Ok(serde_json::from_slice::<String>(token).is_ok_and(|scope| scope == "public"))
}

/// Finds the end of a value. It need not be right about what is no JSON: every token is read again.
#[derive(Debug, Default)]
pub(super) struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// How many of `bytes` belong to the value, and whether it ends there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut index = 0;
        while let Some((byte, rest)) = bytes.get(index..).and_then(<[u8]>::split_first) {
            let next = index.saturating_add(1);
            index = next;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => {
                    self.in_string = !self.in_string;
                    if !self.in_string && self.depth == 0 {
                        return (next, true);
                    }
                }
                _ if self.in_string => {
                    let special = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    index = next.saturating_add(special);
                }
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r' if self.depth == 0 => {
                    return (next.saturating_sub(1), true);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return (next, true);
                    }
                }
                _ => {}
            }
        }
        (bytes.len(), false)
    }
}
