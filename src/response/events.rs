//! An event stream, each event of which is redacted and filtered like a response of its own.
//!
//! Framing: WHATWG HTML section 9.2.6, "Interpreting an event stream". Bytes of an event that need
//! no change pass as they are; of one that must be changed, the `data` lines are written anew. An
//! event that the stream's end cuts off is dropped, as every reader drops it.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2, memchr2_iter, memchr3};

use super::ResponseError;
use super::lists::View;
use super::redaction::filter;
use crate::mcp::List;
use crate::task::TaskError;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The room that is kept for the next event, in bytes.
const KEPT: usize = 64 << 10;

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
    /// Whether no line has ended yet: a byte order mark may lead the first.
    at_start: bool,
    /// Whether the byte before ended a line as CR, so that LF belongs to it.
    after_cr: bool,
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
            at_start: true,
            after_cr: false,
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
        if let (true, Some((b'\n', after))) = (self.after_cr, rest.split_first()) {
            self.end_of_terminator(out);
            rest = after;
        }
        self.after_cr &= chunk.is_empty();
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.hold(line)?;
            let (terminator, after) = match after {
                [b'\r', after @ ..] => (b'\r', after),
                [_, after @ ..] => (b'\n', after),
                [] => break,
            };
            self.end_line(terminator, view, out)?;
            rest = after;
            if terminator == b'\r' {
                if let Some((b'\n', after)) = rest.split_first() {
                    self.end_of_terminator(out);
                    rest = after;
                } else {
                    self.after_cr = rest.is_empty();
                }
            }
        }
        self.hold(rest)
    }

    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), ResponseError> {
        if bytes.len() > self.longest.saturating_sub(self.held.len()) {
            return Err(ResponseError::TooLarge);
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// The LF of a CRLF goes where its CR went.
    fn end_of_terminator(&mut self, out: &mut Vec<u8>) {
        if self.has_data {
            self.held.push(b'\n');
            self.line = self.held.len();
        } else {
            out.push(b'\n');
        }
    }

    fn end_line(
        &mut self,
        terminator: u8,
        view: View,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        if std::mem::take(&mut self.at_start) && self.held.starts_with(BYTE_ORDER_MARK) {
            out.extend(self.held.drain(..BYTE_ORDER_MARK.len()));
        }
        let line = self.held.get(self.line..).unwrap_or_default();
        let ends_event = line.is_empty();
        self.has_data |= data(line).is_some();
        if ends_event && self.has_data {
            dispatch(&self.held, self.longest, view, out)?;
        }
        if self.has_data && !ends_event {
            self.held.push(terminator);
        } else {
            if !self.has_data {
                out.extend_from_slice(&self.held);
            }
            out.push(terminator);
            self.held.clear();
            self.held.shrink_to(KEPT);
            self.has_data = false;
        }
        self.line = self.held.len();
        Ok(())
    }
}

/// Passes an event: its lines from the first `data` line on, without the blank one.
fn dispatch(
    event: &[u8],
    longest: usize,
    view: View,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
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
            let mut start = 0;
            for end in memchr_iter(b'\n', &filtered).chain([filtered.len()]) {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(filtered.get(start..end).unwrap_or_default());
                out.push(b'\n');
                start = end.saturating_add(1);
            }
        }
        // A server may tell of any task in any stream. Here its tool is not known, so this event is
        // none: one without data.
        Err(ResponseError::Task(TaskError::Unasked)) => {}
        Err(error) => return Err(error),
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

/// The lines of an event, each of which has its end; none is blank, but that CRLF looks like one.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut ends = memchr2_iter(b'\n', b'\r', event);
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = ends.next()?;
        let line = event.get(start..end);
        start = end.saturating_add(1);
        line
    })
    .filter(|line| !line.is_empty())
}

/// The value of a `data` line. Other names, also in other case, are other fields.
fn data(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Whether an event's text could, to any reader, have a member that is a list or a task's id: a quick
/// look at what is mostly other things.
fn is_of_interest(event: &[u8]) -> bool {
    let mut rest = event;
    while let Some(at) = memchr3(b'"', b'\\', 0xc5, rest) {
        let (_, found) = rest.split_at_checked(at).unwrap_or((&[], rest));
        let is_name = |name: &str| {
            let (start, end) = (1, name.len().saturating_add(1));
            found.get(start..end).is_some_and(|bytes| bytes.eq_ignore_ascii_case(name.as_bytes()))
                && found.get(end) == Some(&b'"')
        };
        match found {
            // An escaped letter, or the long s, which some readers fold.
            [b'\\', b'u', ..] | [0xc5, 0xbf, ..] => return true,
            [b'"', ..] if List::ALL.iter().any(|list| is_name(list.member())) => return true,
            [b'"', ..] if ["taskId", "taskIds"].into_iter().any(is_name) => return true,
            [_, after @ ..] => rest = after,
            [] => return false,
        }
    }
    false
}
