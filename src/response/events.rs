//! An event stream, each event of which is redacted and filtered like a response of its own.
//!
//! Framing: WHATWG HTML section 9.2.6, "Interpreting an event stream". Readers differ in what ends a
//! line and in where a byte order mark may stand, so nothing passes in which any of them could find
//! another line: every one ends as LF, and beside `data` only an id, `retry`, the event's name
//! `message` and empty comments are left. An event of another name, which could lead a client
//! elsewhere, loses its data. One that the stream's end cuts off is dropped, as the standard has it.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use super::error::{ResponseError, room};
use super::lists::View;
use super::redaction::filter;
use crate::json::is_variant;
use crate::mcp::{List, MARKED};
use crate::task::TaskError;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The room that is kept for the next event, in bytes.
const KEPT: usize = 64 << 10;

/// More bytes than the name of a list or a task's id can have, to any reader, and a quote.
const NAME_BYTES: usize = 32;

/// Filters the lists in the events of one stream.
#[derive(Debug)]
pub struct EventFilter {
    /// The longest event, in bytes.
    longest: usize,
    /// What is held: from the first `data` line of an event, or from the line that is being read.
    held: Vec<u8>,
    /// Where in it that line begins.
    line: usize,
    /// Whether it holds a `data` line.
    has_data: bool,
    /// Whether the event has another name than `message`.
    is_foreign: bool,
    position: Position,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// In the first line, which a byte order mark may lead.
    FirstLine,
    /// After a CR that ended a line, so that LF belongs to it.
    AfterCr,
    /// Anywhere else.
    Later,
}

impl EventFilter {
    /// A filter that holds at most `longest` bytes of one event.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self {
            longest,
            held: Vec::new(),
            line: 0,
            has_data: false,
            is_foreign: false,
            position: Position::FirstLine,
        }
    }

    /// Takes the next chunk and appends to `out` what may pass.
    ///
    /// # Errors
    /// Why an event cannot be filtered. Then the filter is of no more use.
    pub fn chunk(
        &mut self,
        chunk: &[u8],
        view: View,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.position == Position::AfterCr {
                self.position = Position::Later;
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else { return self.hold(rest) };
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.hold(line)?;
            self.end_line(view, out)?;
            let is_cr = after.starts_with(b"\r");
            self.position = if is_cr { Position::AfterCr } else { Position::Later };
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), ResponseError> {
        room(&self.held, bytes, self.longest)?;
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, view: View, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        if self.position == Position::FirstLine && self.held.starts_with(BYTE_ORDER_MARK) {
            self.held.drain(..BYTE_ORDER_MARK.len());
        }
        let line = self.held.get(self.line..).unwrap_or_default();
        if line.is_empty() {
            self.dispatch(view, out)?;
            self.held.clear();
            self.held.shrink_to(KEPT);
            self.line = 0;
            return Ok(());
        }
        let mut is_kept = true;
        match field(line) {
            (b"data", value) => match one_line(value) {
                Some(Cow::Borrowed(_)) => self.has_data = true,
                Some(Cow::Owned(value)) => {
                    self.has_data = true;
                    self.held.truncate(self.line);
                    self.hold(b"data: ")?;
                    self.hold(&value)?;
                }
                None => is_kept = false,
            },
            (b"", _) => self.held.truncate(self.line.saturating_add(1)),
            (b"event", b"" | b"message") => {}
            (b"event", _) => (self.is_foreign, is_kept) = (true, false),
            (b"id", id) => is_kept = id.iter().all(u8::is_ascii_graphic),
            (b"retry", time) => is_kept = time.iter().all(u8::is_ascii_digit),
            _ => is_kept = false,
        }
        if is_kept {
            self.held.push(b'\n');
        } else {
            self.held.truncate(self.line);
        }
        if !self.has_data {
            out.append(&mut self.held);
        }
        self.line = self.held.len();
        Ok(())
    }

    /// Passes an event, of which its lines from the first `data` line on are held.
    fn dispatch(&mut self, view: View, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        let is_foreign = std::mem::take(&mut self.is_foreign);
        if std::mem::take(&mut self.has_data) {
            pass(&self.held, is_foreign, self.longest, view, out)?;
        }
        out.push(b'\n');
        Ok(())
    }
}

/// Passes an event's lines, without the data of a foreign one.
fn pass(
    event: &[u8],
    is_foreign: bool,
    longest: usize,
    view: View,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    if !is_foreign {
        if view.redact.is_none() && !is_of_interest(event) {
            out.extend_from_slice(event);
            return Ok(());
        }
        let text = text(event);
        let mut filtered = Vec::with_capacity(text.len());
        match filter(&text, longest, view, &mut filtered) {
            Ok(()) if filtered == *text => {
                out.extend_from_slice(event);
                return Ok(());
            }
            Ok(()) => {
                for line in filtered.split(|byte| *byte == b'\n') {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(line);
                    out.push(b'\n');
                }
            }
            // A server may tell of any task in any stream. Here its tool is not known, so this event
            // is none: one without data.
            Err(ResponseError::Task(TaskError::Unasked)) => {}
            Err(error) => return Err(error),
        }
    }
    for line in lines(event).filter(|line| data(line).is_none()) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    Ok(())
}

/// The text that an event carries: the values of its `data` lines.
fn text(event: &[u8]) -> Cow<'_, [u8]> {
    let mut values = lines(event).filter_map(data);
    let mut text = Cow::Borrowed(values.next().unwrap_or_default());
    for value in values {
        text.to_mut().push(b'\n');
        text.to_mut().extend_from_slice(value);
    }
    text
}

/// The lines of an event, each of which has its end.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b'\n', event).map_while(move |end| {
        let line = event.get(start..end);
        start = end.saturating_add(1);
        line
    })
}

/// The value of a `data` line.
fn data(line: &[u8]) -> Option<&[u8]> {
    let (name, value) = field(line);
    (name == b"data").then_some(value)
}

/// What some readers end lines at, and how JSON writes it in a string.
const SEPARATORS: [(&[u8], &[u8]); 3] = [
    ("\u{85}".as_bytes(), b"\\u0085"),
    ("\u{2028}".as_bytes(), b"\\u2028"),
    ("\u{2029}".as_bytes(), b"\\u2029"),
];

/// A value that is one line to every reader. None if it has what ends lines to some and is no JSON.
fn one_line(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if value.iter().any(|byte| matches!(byte, 0xb | 0xc | 0x1c..=0x1e)) {
        return None;
    }
    let mut line = Vec::new();
    let mut rest = value;
    // With these, the separators begin.
    while let Some((before, found)) =
        memchr2(0xc2, 0xe2, rest).and_then(|at| rest.split_at_checked(at))
    {
        line.extend_from_slice(before);
        let separator = SEPARATORS.iter().find(|(separator, _)| found.starts_with(separator));
        let (length, written) = match separator {
            Some((separator, escaped)) => (separator.len(), *escaped),
            None => (1, found.get(..1).unwrap_or_default()),
        };
        line.extend_from_slice(written);
        rest = found.get(length..).unwrap_or_default();
    }
    line.extend_from_slice(rest);
    // An escape is longer than what it stands for.
    Some(if line.len() == value.len() { Cow::Borrowed(value) } else { Cow::Owned(line) })
}

/// The name of a line's field, and its value. Other names, also in other case, are other fields.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr(b':', line).unwrap_or(line.len());
    match line.split_at_checked(end) {
        Some((name, [b':', b' ', value @ ..] | [b':', value @ ..])) => (name, value),
        _ => (line, b""),
    }
}

/// Whether an event's text could, to any reader, have a member that is a list or a task's id, or the
/// marked id of a request: a quick look at what is mostly other things.
fn is_of_interest(event: &[u8]) -> bool {
    let mut rest = event;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let (_, found) = rest.split_at_checked(at).unwrap_or((&[], rest));
        match found {
            [b'"', after @ ..] if begins_with_name(after) => return true,
            [b'"', after @ ..] if after.starts_with(MARKED.as_bytes()) => return true,
            // An escaped letter.
            [b'\\', b'u', ..] => return true,
            [_, after @ ..] => rest = after,
            [] => return false,
        }
    }
    false
}

/// Whether some reader takes what stands before the next quote for such a member's name.
fn begins_with_name(text: &[u8]) -> bool {
    let head = text.get(..NAME_BYTES).unwrap_or(text);
    let name = memchr(b'"', head).and_then(|end| head.get(..end)).unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    let mut names = List::ALL.map(List::member).into_iter().chain(["taskId", "taskIds"]);
    names.any(|known| name == known || is_variant(&name, known))
}
