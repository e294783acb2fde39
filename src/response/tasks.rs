//! The ids of tasks in a message, exchanged for the client's.

use std::ops::Range;

use super::ResponseError;
use super::lists::{LIMITS, View, check_name};
use crate::json::{self, JsonError, Observer, Token, span, walk};
use crate::mcp::RELATED_TASK;
use crate::task::{TaskError, replace};

/// Where a value that can name a task stands. Sources: `CreateTaskResult`, `GetTaskResult`,
/// `CancelTaskResult`, `TaskStatusNotification` and `RelatedTaskMetadata` in MCP 2025-11-25, schema;
/// `CreateTaskResult`, `GetTaskResult`, `TaskStatusNotification` and
/// `SubscriptionsAcknowledgedNotification` in the tasks extension of 2026-07-28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A task's id.
    Id,
    /// Some of them.
    Ids,
    /// An object whose member `taskId` is one.
    Task,
    /// `_meta`, of which one member is such an object.
    Meta,
    /// `params`: of a notification, or of a request of the server's. All others stand in a result.
    Params,
    /// `params.notifications`: to what the client listens.
    Notifications,
    Other,
}

/// Appends to `out` the value at `place` with the client's ids, and else as it is.
pub(super) fn seal(
    value: &[u8],
    place: Place,
    view: View,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    let is_result = place != Place::Params;
    let reader = Reader { text: value, found: Vec::new() };
    let mut sealed = Vec::new();
    let reader = walk(value, &LIMITS, reader, place).map_err(|error| match (place, error) {
        // Of a task that two parsers read differently nobody is told: a log message may hold anything.
        (Place::Params, _) if json::check_syntax(value).is_ok() => {
            ResponseError::from(TaskError::Unasked)
        }
        (_, error) => error.into(),
    })?;
    for found in reader.found {
        // Written otherwise, it stands nowhere.
        let (place, id) = found.ok_or(TaskError::Malformed)?;
        sealed.push((place, (view.seal)(&id, is_result)?));
    }
    replace(value, sealed.iter().map(|(place, id)| (place.clone(), &**id)), out);
    Ok(())
}

/// Finds the ids, in their order. None is one that is no string, or written with escapes.
struct Reader<'a> {
    text: &'a [u8],
    found: Vec<Option<(Range<usize>, Box<str>)>>,
}

const META: &[(&str, Place)] = &[(RELATED_TASK, Place::Task)];
const TASK: &[(&str, Place)] = &[("taskId", Place::Id)];
const PARAMS: &[(&str, Place)] =
    &[("taskId", Place::Id), ("_meta", Place::Meta), ("notifications", Place::Notifications)];
const NOTIFICATIONS: &[(&str, Place)] = &[("taskIds", Place::Ids)];

impl Observer for Reader<'_> {
    type Place = Place;

    fn member(&mut self, place: Place, name: &str) -> Result<Place, JsonError> {
        let known = match place {
            Place::Task => TASK,
            Place::Meta => META,
            Place::Params => PARAMS,
            Place::Notifications => NOTIFICATIONS,
            Place::Id | Place::Ids | Place::Other => return Ok(Place::Other),
        };
        check_name(name, known.iter().map(|(known, _)| *known))?;
        let place = known.iter().find(|(known, _)| *known == name);
        Ok(place.map_or(Place::Other, |(_, place)| *place))
    }

    fn element(&mut self, place: Place) -> Place {
        if place == Place::Ids { Place::Id } else { Place::Other }
    }

    fn value(&mut self, place: Place, token: Token<'_>) {
        match (place, token) {
            (Place::Id, Token::String(id)) => {
                self.found.push(span(self.text, id).map(|place| (place, id.into())));
            }
            (Place::Id, _) => self.found.push(None),
            _ => {}
        }
    }
}
