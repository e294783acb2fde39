//! A JSON-RPC message, judged: exactly one request or notification, or refused.

use serde::{Serialize, Serializer};

use super::draft::{Draft, Member, Outermost, Place};
use super::error::BodyError;
use super::method::Method;
use super::response::Response;
use crate::json::{Limits, Token, walk};

/// The greatest integer that every parser reads exactly (RFC 7493 section 2.2).
const SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// The longest request id and task id, in bytes.
const ID_BYTES: usize = 256;

/// The longest tool or prompt name, in bytes.
const NAME_BYTES: usize = 128;

/// What a body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The request's id; none for a notification.
    pub id: Option<Id>,
    /// The method.
    pub method: Method,
    /// What the method acts on: there exactly if [`Method::class`] is not `Baseline`.
    pub object: Option<Object>,
    /// The revision that `params._meta` names under `io.modelcontextprotocol/protocolVersion`:
    /// required there since 2026-07-28, and equal to the `MCP-Protocol-Version` header.
    pub protocol_version: Option<Box<str>>,
}

/// A request's id. Serialises to the JSON value that it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// Within ±(2^53 - 1).
    Number(i64),
    /// At most 256 bytes, without control characters.
    String(Box<str>),
}

impl Id {
    pub(super) fn from_token(token: Token<'_>) -> Option<Self> {
        match token {
            Token::Integer(number) if (-SAFE_INTEGER..=SAFE_INTEGER).contains(&number) => {
                Some(Self::Number(number))
            }
            Token::String(text)
                if text.len() <= ID_BYTES && !text.chars().any(char::is_control) =>
            {
                Some(Self::String(text.into()))
            }
            _ => None,
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::String(text) => serializer.serialize_str(text),
        }
    }
}

/// What an operation acts on. Names are `[A-Za-z0-9_.-]{1,128}`; URIs are ASCII without control
/// characters and at most 2 KiB; task ids are at most 256 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// The tool of this name.
    Tool(Box<str>),
    /// The prompt of this name; also when one of its arguments is to be completed.
    Prompt(Box<str>),
    /// The resource with this URI.
    Resource(Box<str>),
    /// The resource template with this URI template, one of whose arguments is to be completed.
    ResourceTemplate(Box<str>),
    /// The task with this id.
    Task(Box<str>),
    /// The resources and tasks whose changes the client wants to hear of; both may be empty.
    Subscription {
        /// The URIs of the resources.
        resources: Box<[Box<str>]>,
        /// The ids of the tasks.
        tasks: Box<[Box<str>]>,
    },
}

/// Reads a body in one pass: whole, or refused.
///
/// What it accepts, every server reads as the same method and object, so the bytes that were
/// checked can go upstream as they are. Bounding the body's bytes is the caller's task.
///
/// # Errors
///
/// A [`BodyError`] if the body is not JSON that every parser reads alike, not exactly one request
/// or notification, or without what its method needs.
pub fn parse(body: &[u8], limits: &Limits) -> Result<Operation, BodyError> {
    // No message at all, rather than a message with an error in its JSON.
    if body.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        return Err(BodyError::NotAnObject);
    }
    let draft = walk(body, limits, Draft::default(), Place::Message)?;
    match draft.outermost {
        Outermost::Object => judge(draft),
        Outermost::Array => Err(BodyError::Batch),
        Outermost::Scalar => Err(BodyError::NotAnObject),
    }
}

/// Judges the members against each other, now that the whole body is known to be sound.
fn judge(mut draft: Draft) -> Result<Operation, BodyError> {
    let is_response = draft.method.is_absent()
        && !draft.id.is_absent()
        && draft.result.is_absent() != draft.error.is_absent();
    let response = is_response.then(|| Response::of(&draft));
    let id_is_wrong = draft.id.is_wrong();
    let id = std::mem::take(&mut draft.id).present();
    let method = std::mem::take(&mut draft.method);
    let invalid = |member| Err(BodyError::InvalidRequest { id: id.clone(), member });

    if draft.jsonrpc != Member::Present(()) {
        return invalid("jsonrpc");
    }
    if let Some(response) = response {
        return Err(BodyError::Response(response));
    }
    // A message that is a request to one server and a response to another is refused.
    if !draft.result.is_absent() {
        return invalid("result");
    }
    if !draft.error.is_absent() {
        return invalid("error");
    }
    if id_is_wrong {
        return invalid("id");
    }
    let Some(method) = method.present() else {
        return invalid("method");
    };
    let Some(method) = method else {
        return Err(BodyError::UnknownMethod { id });
    };
    match (method.is_notification(), &id) {
        // As a request the method does not exist.
        (true, Some(_)) => return Err(BodyError::UnknownMethod { id }),
        (false, None) => return invalid("id"),
        (true, None) | (false, Some(_)) => {}
    }
    if let Some(member) = wrong_params(&draft) {
        return Err(BodyError::InvalidParams { id, member });
    }
    let protocol_version = std::mem::take(&mut draft.protocol_version).present();
    match object(method, draft) {
        Ok(object) => Ok(Operation { id, method, object, protocol_version }),
        Err(Fault::Member(member)) => Err(BodyError::InvalidParams { id, member }),
        Err(Fault::Name) => Err(BodyError::InvalidName { id }),
    }
}

/// The member that is wrong whatever the method.
fn wrong_params(draft: &Draft) -> Option<&'static str> {
    [
        (&draft.params, "params"),
        (&draft.arguments, "params.arguments"),
        (&draft.cursor, "params.cursor"),
        (&draft.meta, "params._meta"),
    ]
    .into_iter()
    .find_map(|(member, name)| member.is_wrong().then_some(name))
    .or(draft
        .protocol_version
        .is_wrong()
        .then_some("params._meta.io.modelcontextprotocol/protocolVersion"))
}

/// What is wrong with the object that a method needs.
enum Fault {
    Member(&'static str),
    Name,
}

fn object(method: Method, draft: Draft) -> Result<Option<Object>, Fault> {
    Ok(Some(match method {
        Method::ToolsCall => Object::Tool(name(draft.name, "params.name")?),
        Method::PromptsGet => Object::Prompt(name(draft.name, "params.name")?),
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
            Object::Resource(uri(draft.uri, "params.uri")?)
        }
        Method::CompletionComplete => reference(draft)?,
        Method::SubscriptionsListen => subscription(draft)?,
        Method::TasksGet | Method::TasksResult | Method::TasksUpdate | Method::TasksCancel => {
            Object::Task(task_id(draft.task_id, "params.taskId")?)
        }
        _ => return Ok(None),
    }))
}

/// `params.ref`: a prompt's name or a resource template's URI, never both.
fn reference(draft: Draft) -> Result<Object, Fault> {
    let kind = draft.reference_type.present().ok_or(Fault::Member("params.ref.type"))?;
    match &*kind {
        "ref/prompt" if draft.reference_uri.is_absent() => {
            Ok(Object::Prompt(name(draft.reference_name, "params.ref.name")?))
        }
        "ref/resource" if draft.reference_name.is_absent() => {
            Ok(Object::ResourceTemplate(uri(draft.reference_uri, "params.ref.uri")?))
        }
        _ => Err(Fault::Member("params.ref")),
    }
}

/// `params.notifications`: what a `subscriptions/listen` stream is to report.
fn subscription(draft: Draft) -> Result<Object, Fault> {
    const RESOURCES: &str = "params.notifications.resourceSubscriptions";
    const TASKS: &str = "params.notifications.taskIds";
    if draft.notifications != Member::Present(()) {
        return Err(Fault::Member("params.notifications"));
    }
    if draft.resource_subscriptions.is_wrong() {
        return Err(Fault::Member(RESOURCES));
    }
    if draft.task_ids.is_wrong() {
        return Err(Fault::Member(TASKS));
    }
    let uris = draft.subscribed_uris.into_iter().map(|member| uri(member, RESOURCES));
    let tasks = draft.subscribed_tasks.into_iter().map(|member| task_id(member, TASKS));
    Ok(Object::Subscription {
        resources: uris.collect::<Result<_, _>>()?,
        tasks: tasks.collect::<Result<_, _>>()?,
    })
}

fn name(member: Member<Box<str>>, place: &'static str) -> Result<Box<str>, Fault> {
    let name = member.present().ok_or(Fault::Member(place))?;
    if is_name(&name) { Ok(name) } else { Err(Fault::Name) }
}

/// Whether `text` may name a tool or a prompt (MCP 2025-11-25, tools): compared byte for byte, so
/// nothing that could look like another name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_name_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(is_name_byte)
}

fn uri(member: Member<Box<str>>, place: &'static str) -> Result<Box<str>, Fault> {
    let uri = member.present().filter(|uri| !uri.is_empty() && uri.is_ascii());
    uri.ok_or(Fault::Member(place))
}

fn task_id(member: Member<Box<str>>, place: &'static str) -> Result<Box<str>, Fault> {
    let id = member.present().filter(|id| (1..=ID_BYTES).contains(&id.len()));
    id.ok_or(Fault::Member(place))
}
