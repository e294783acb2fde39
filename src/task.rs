//! Tasks bound to their caller and their origin, without state: what the client holds is the MCP
//! server's task id, the name of the tool whose call made the task and what its arguments fulfilled,
//! sealed like a session's id.
//!
//! So who names a task is known to be its caller, and what is done with it is judged by the rules of
//! its tool (MCP 2025-11-25, tasks, security: bind tasks to the authorization context; 2026-07-28,
//! tasks extension). Ids stand in bodies: there, and in `Mcp-Name`, they are exchanged both ways, and
//! no other byte.

use std::ops::Range;

use crate::mcp::{Object, Operation, Origin, Task};
use crate::policy::Permit;
use crate::session::{Binding, Purpose, SessionError, SessionKeys};
use crate::token::Caller;

/// Between the tool's name, the fingerprint, which have none, and the task's id.
const SEPARATOR: char = ':';

/// Why a task id is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskError {
    /// There is no key to seal with.
    NotConfigured,
    /// Not a sealed id, or from upstream: not one that can be sealed.
    Malformed,
    /// Not sealed for this caller at this endpoint by a key that is known.
    Foreign,
    /// From upstream: a task that the request has nothing to do with.
    Unasked,
}

impl TaskError {
    /// One word for the audit record.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotConfigured => SessionError::NotConfigured.reason(),
            Self::Malformed => "malformed_task",
            Self::Foreign => "foreign_task",
            Self::Unasked => "unasked_task",
        }
    }
}

impl From<SessionError> for TaskError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotConfigured => Self::NotConfigured,
            SessionError::Foreign => Self::Foreign,
            SessionError::Malformed | SessionError::Missing => Self::Malformed,
        }
    }
}

/// Whose tasks they are: a caller's at an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    keys: &'a SessionKeys,
    binding: Binding<'a>,
}

impl<'a> Owner<'a> {
    /// The caller at the endpoint with this path.
    #[must_use]
    pub fn new(keys: &'a SessionKeys, caller: &'a Caller, endpoint: &'a str) -> Self {
        Self { keys, binding: Binding::new(Purpose::Task, caller, endpoint) }
    }

    /// The id that the client may hold for the MCP server's `id` of a task of this origin.
    ///
    /// # Errors
    /// There is no key, or `id` is not of visible ASCII without `"` and `\`, or too long. So what is
    /// sealed is written in JSON as it is, and is shorter there than its sealed form: Envoy's buffer
    /// for a body that is held does not grow.
    pub fn seal(&self, origin: &Origin, id: &str) -> Result<String, TaskError> {
        if id.is_empty() || id.contains(['"', '\\']) {
            return Err(TaskError::Malformed);
        }
        let Origin { tool, fulfilled } = origin;
        let fulfilled = fulfilled.as_deref().unwrap_or_default();
        let named = format!("{tool}{SEPARATOR}{fulfilled}{SEPARATOR}{id}");
        Ok(self.keys.seal(self.binding, &named)?)
    }

    /// The origin and the MCP server's id in a sealed id.
    ///
    /// # Errors
    /// It is not of this form, or not sealed for this owner.
    pub fn unseal(&self, sealed: &str) -> Result<(Origin, Box<str>), TaskError> {
        let unsealed = self.keys.unseal(self.binding, sealed)?;
        let mut parts = unsealed.splitn(3, SEPARATOR);
        let (Some(tool), Some(fulfilled), Some(id)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(TaskError::Malformed);
        };
        let fulfilled = (!fulfilled.is_empty()).then(|| fulfilled.into());
        Ok((Origin { tool: tool.into(), fulfilled }, id.into()))
    }

    /// Claims the tasks that an operation names: each gets its origin. Gives them as they are known on
    /// both sides.
    ///
    /// To what task a message belongs that acts on one, nobody is to ask (MCP 2025-11-25, tasks, related
    /// task): the MCP server reads no id there.
    ///
    /// # Errors
    /// One of them is not this owner's.
    pub fn claim(&self, operation: &mut Operation) -> Result<Vec<Claim>, TaskError> {
        let ignored = match operation.object {
            Some(Object::Task(_)) => operation.related_task.take(),
            _ => None,
        };
        let ignored = ignored.map(|task| {
            let place = task.place.ok_or(TaskError::Malformed)?;
            Ok(Claim { id: "".into(), sealed: task.id, place })
        });
        let claims = operation.tasks_mut().map(|task| self.claim_one(task));
        claims.chain(ignored).collect()
    }

    /// Claims a task, which gets its origin.
    ///
    /// # Errors
    /// It is not this owner's.
    pub fn claim_one(&self, task: &mut Task) -> Result<Claim, TaskError> {
        let (origin, id) = self.unseal(&task.id)?;
        task.origin = Some(origin);
        let place = task.place.clone().ok_or(TaskError::Malformed)?;
        Ok(Claim { id, sealed: task.id.clone(), place })
    }
}

/// A task that a request names and that is the caller's.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    /// The MCP server's id.
    pub id: Box<str>,
    /// The client's.
    pub sealed: Box<str>,
    /// Where in the request's body it stands.
    pub place: Range<usize>,
}

/// The body for the MCP server: with its ids in place of the client's.
#[must_use]
pub fn splice(body: &[u8], claims: &[Claim]) -> Vec<u8> {
    let mut claims: Vec<_> = claims.iter().collect();
    claims.sort_unstable_by_key(|claim| claim.place.start);
    let pieces = claims.iter().map(|claim| (claim.place.clone(), &*claim.id));
    let mut spliced = Vec::with_capacity(body.len());
    replace(body, pieces, &mut spliced);
    spliced
}

/// Appends `text` to `out` with other strings in some places, which are in order.
pub(crate) fn replace<'a>(
    text: &[u8],
    places: impl Iterator<Item = (Range<usize>, &'a str)>,
    out: &mut Vec<u8>,
) {
    let mut rest = 0;
    for (place, string) in places {
        out.extend_from_slice(text.get(rest..place.start).unwrap_or_default());
        out.extend_from_slice(string.as_bytes());
        rest = place.end;
    }
    out.extend_from_slice(text.get(rest..).unwrap_or_default());
}

/// The tasks that an answer may name.
#[derive(Debug, Default)]
pub struct Tasks {
    /// Those that the request names.
    pub named: Vec<Claim>,
    /// The origin of the one that the call makes, if it does.
    pub made: Option<Origin>,
}

impl Tasks {
    /// Those of the answer to an operation that a rule allowed.
    #[must_use]
    pub fn of(operation: &Operation, named: Vec<Claim>, permit: &Permit) -> Self {
        let made = match &operation.object {
            Some(Object::Tool(tool)) if operation.takes_task => Some(Origin {
                tool: tool.clone(),
                fulfilled: permit.fulfilled().map(|fulfilled| (**fulfilled).into()),
            }),
            _ => None,
        };
        Self { named, made }
    }

    /// The client's id for the MCP server's, which stands in a result or elsewhere. Elsewhere a server
    /// may tell of any task.
    ///
    /// # Errors
    /// It is none of these, or cannot be sealed.
    pub fn seal(&self, owner: Owner, id: &str, is_result: bool) -> Result<String, TaskError> {
        if let Some(claim) = self.named.iter().find(|claim| *claim.id == *id) {
            return Ok(claim.sealed.to_string());
        }
        let made = self.made.as_ref().filter(|_| is_result).ok_or(TaskError::Unasked)?;
        owner.seal(made, id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::mcp::{Id, Method};

    const SARAH: Binding = Binding {
        purpose: Purpose::Task,
        issuer: "https://login.example",
        subject: "sarah",
        client: "cli",
        endpoint: "/mcp",
    };

    fn keys() -> SessionKeys {
        SessionKeys::of(&["a key that is long enough to seal"])
    }

    fn of(tool: &str) -> Origin {
        Origin { tool: tool.into(), fulfilled: None }
    }

    fn report() -> Origin {
        of("report")
    }

    #[test]
    fn what_is_sealed_names_its_origin_and_its_id() {
        let keys = keys();
        let owner = Owner { keys: &keys, binding: SARAH };
        for (tool, fulfilled, id) in [
            ("report", None, "k-1"),
            ("a.b-c_d", Some("0123456789abcdef"), "k:1:2"),
            ("t", None, ":"),
            ("t", Some("f"), &"x".repeat(400)),
        ] {
            let origin = Origin { tool: tool.into(), fulfilled: fulfilled.map(Into::into) };
            let sealed = owner.seal(&origin, id).unwrap();
            assert!(sealed.len() > id.len(), "Envoy's buffer does not grow");
            assert_eq!(owner.unseal(&sealed), Ok((origin, id.into())));
        }
    }

    #[test]
    fn s05_nobody_elses_nowhere_else_and_no_session() {
        let keys = keys();
        let sealed = Owner { keys: &keys, binding: SARAH }.seal(&report(), "k-1").unwrap();
        for binding in [
            Binding { purpose: Purpose::Session, ..SARAH },
            Binding { issuer: "https://other.example", ..SARAH },
            Binding { subject: "john", ..SARAH },
            Binding { client: "web", ..SARAH },
            Binding { endpoint: "/mcp2", ..SARAH },
        ] {
            let owner = Owner { keys: &keys, binding };
            assert_eq!(owner.unseal(&sealed), Err(TaskError::Foreign), "{binding:?}");
        }
    }

    #[test]
    fn what_json_would_escape_is_not_sealed() {
        let keys = keys();
        let owner = Owner { keys: &keys, binding: SARAH };
        for id in ["", "a\"b", "a\\b", "a b", "a\nb", "\u{e9}", &"x".repeat(512)] {
            assert_eq!(owner.seal(&report(), id), Err(TaskError::Malformed), "{id:?}");
        }
        let none = SessionKeys::default();
        let owner = Owner { keys: &none, binding: SARAH };
        assert_eq!(owner.seal(&report(), "k-1"), Err(TaskError::NotConfigured));
    }

    #[test]
    fn the_ids_are_replaced_where_they_stand_and_nowhere_else() {
        let keys = keys();
        let owner = Owner { keys: &keys, binding: SARAH };
        let (one, two) = (owner.seal(&of("a"), "1").unwrap(), owner.seal(&of("b"), "2").unwrap());
        let body = format!("{two} \"{one}\" {one} \"{two}\"");
        let at = |id: &str, from: usize| {
            let start = body[from..].find(id).unwrap() + from;
            Some(start..start + id.len())
        };
        let task = |id: &str, place| Task { id: id.into(), place, origin: None };
        let subscription = Object::Subscription {
            resources: [].into(),
            tasks: [task(&two, at(&two, two.len())), task(&one, at(&one, 0))].into(),
        };
        let id = Some(Id::Number(1));
        let mut operation = Operation::new(id, Method::SubscriptionsListen, Some(subscription));
        let claims = owner.claim(&mut operation).unwrap();
        let spliced = String::from_utf8(splice(body.as_bytes(), &claims)).unwrap();
        assert_eq!(spliced, format!("{two} \"1\" {one} \"2\""));
        let origins: HashSet<_> = operation.tasks_mut().map(|task| task.origin.clone()).collect();
        assert_eq!(origins, [Some(of("a")), Some(of("b"))].into());
        operation.tasks_mut().for_each(|task| task.place = None);
        assert_eq!(owner.claim(&mut operation), Err(TaskError::Malformed), "with escapes");
    }
}
