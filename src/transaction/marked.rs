//! With which mark a session's requests went up, so that a `notifications/cancelled` names them as
//! the MCP server knows them: whichever worker it comes to.

use std::fmt;
use std::rc::Rc;

use crate::answer::Refusal;
use crate::exchange::shared::SharedData;
use crate::fingerprint::fingerprint;
use crate::mcp::{Id, List, Operation};
use crate::policy::Permit;
use crate::response::{mark_cancelled, mark_ids};

/// The host keeps every name for ever, so there are 4096 places. Who loses its place to another
/// cannot be cancelled, and ends by itself.
const PLACE_DIGITS: usize = 3;

/// The mark of lists, whose answers are filtered.
const LIST: &str = "list";

/// The requests that went up with a mark, of all workers.
pub(super) struct MarkedRequests(Rc<dyn SharedData>);

impl fmt::Debug for MarkedRequests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("MarkedRequests").finish_non_exhaustive()
    }
}

impl MarkedRequests {
    pub(super) fn new(data: Rc<dyn SharedData>) -> Self {
        Self(data)
    }

    /// The body with the ids by which the MCP server is to know a session's requests: those whose
    /// answers do not pass as they are. None if it stays as it is. A body has at most `longest` bytes.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`]: Envoy holds no more, and fails when it must grow what it holds. Or the
    /// body is not what it was when it was read.
    pub(super) fn mark(
        &self,
        session: &str,
        operations: &[Operation],
        permit: &Permit,
        body: &[u8],
        longest: usize,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let ids: Vec<&Id> = operations.iter().filter_map(|one| one.id.as_ref()).collect();
        let is_list = |one: &Operation| List::of(one.method).is_some();
        let mark = match permit.redaction() {
            _ if ids.is_empty() => None,
            Some(redaction) => Some(redaction.mark()),
            None => operations.iter().any(is_list).then(|| LIST.into()),
        };
        let marked = match (mark, operations) {
            (Some(mark), _) => {
                for id in ids {
                    self.remember(session, id, &mark);
                }
                Some(mark_ids(body, &mark))
            }
            (None, [Operation { cancels: Some(id), .. }]) => {
                self.find(session, id).map(|mark| mark_cancelled(body, &mark))
            }
            _ => None,
        };
        let marked = marked.transpose().map_err(|_| Refusal::Failed)?;
        match marked {
            Some(marked) if marked.len() > longest => Err(Refusal::TooLarge),
            marked => Ok(marked),
        }
    }

    fn remember(&self, session: &str, id: &Id, mark: &str) {
        let Some((place, request)) = place(session, id) else { return };
        // An entry that another worker has just written is as good as this one.
        let version = self.0.read(&place).map(|(_, version)| version);
        self.0.write(&place, format!("{request} {mark}").as_bytes(), version);
    }

    fn find(&self, session: &str, id: &Id) -> Option<String> {
        let (place, request) = place(session, id)?;
        let (entry, _) = self.0.read(&place)?;
        let (of, mark) = std::str::from_utf8(&entry).ok()?.split_once(' ')?;
        (of == &*request).then(|| mark.to_owned())
    }
}

/// The place of a request's entry, and which request it is.
fn place(session: &str, id: &Id) -> Option<(String, Box<str>)> {
    // No session's id has a blank.
    let request = fingerprint(format!("{session} {}", serde_json::to_string(id).ok()?).as_bytes());
    Some((format!("request.{}", request.get(..PLACE_DIGITS)?), request))
}
