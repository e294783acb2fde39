//! The members of a message that matter, as the walk over the body finds them.

use super::message::Id;
use super::method::Method;
use super::revision::Offer;
use super::task::{RELATED_TASK, Task};
use crate::json::{JsonError, Observer, Token, passes_for, span};

/// The longest string that is kept, in bytes: a URI's limit.
const TEXT_BYTES: usize = 2048;

/// A member of a protocol object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Member<T> {
    #[default]
    Absent,
    /// There, but not what it must be.
    Wrong,
    Present(T),
}

impl<T> Member<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }

    pub(super) fn present(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }
}

impl<T> From<Option<T>> for Member<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Wrong, Self::Present)
    }
}

/// The most messages that a batch may have.
pub(super) const BATCH_MESSAGES: usize = 50;

/// What a body holds, as it is walked: one message, or those of a batch.
#[derive(Debug)]
pub(super) struct Drafts<'a> {
    body: &'a [u8],
    pub(super) is_batch: bool,
    /// No more than one over the limit.
    pub(super) messages: Vec<Draft>,
}

impl<'a> Drafts<'a> {
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self { body, is_batch: false, messages: Vec::new() }
    }
}

/// A message's members, each read but none yet judged against the others.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) is_object: bool,
    pub(super) jsonrpc: Member<()>,
    pub(super) id: Member<Id>,
    /// `Present(None)` is a method that is not in the table.
    pub(super) method: Member<Option<Method>>,
    pub(super) result: Member<()>,
    pub(super) result_members: ResultMembers,
    pub(super) error: Member<()>,
    pub(super) params: Member<()>,
    pub(super) name: Member<Box<str>>,
    pub(super) uri: Member<Box<str>>,
    pub(super) task_id: Member<Task>,
    /// Whether the client asks for a task (`params.task`, 2025-11-25).
    pub(super) asks_for_task: bool,
    /// Whether the client knows the tasks extension (2026-07-28).
    pub(super) knows_tasks: bool,
    pub(super) related_task: Member<()>,
    pub(super) related_task_id: Member<Task>,
    /// Of the request that `notifications/cancelled` names.
    pub(super) request_id: Member<Id>,
    pub(super) cursor: Member<()>,
    pub(super) arguments: Member<()>,
    pub(super) meta: Member<()>,
    /// The revision that `_meta` names, since 2026-07-28.
    pub(super) protocol_version: Member<Box<str>>,
    pub(super) client_capabilities: Member<()>,
    /// The revision that `initialize` offers.
    pub(super) offer: Member<Offer>,
    pub(super) reference: Member<()>,
    pub(super) reference_type: Member<Box<str>>,
    pub(super) reference_name: Member<Box<str>>,
    pub(super) reference_uri: Member<Box<str>>,
    pub(super) notifications: Member<()>,
    pub(super) resource_subscriptions: Member<()>,
    pub(super) subscribed_uris: Vec<Member<Box<str>>>,
    pub(super) task_ids: Member<()>,
    pub(super) subscribed_tasks: Vec<Member<Task>>,
}

/// Which members the result of a response has: those by which the results of a server's requests
/// differ, and others. `_meta`, which any may have, does not count.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "a set of names")]
pub(super) struct ResultMembers {
    pub(super) roots: bool,
    pub(super) action: bool,
    pub(super) role: bool,
    pub(super) model: bool,
    pub(super) others: bool,
}

/// Where in a body the walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole body: a message, or the array of a batch.
    Body,
    Message,
    JsonRpc,
    Id,
    Method,
    Result,
    ResultRoots,
    ResultAction,
    ResultRole,
    ResultModel,
    ResultOther,
    Error,
    Params,
    Name,
    Uri,
    TaskId,
    AskedTask,
    RequestId,
    Cursor,
    Arguments,
    Meta,
    ProtocolVersion,
    ClientCapabilities,
    Extensions,
    TasksExtension,
    RelatedTask,
    RelatedTaskId,
    OfferedVersion,
    Reference,
    ReferenceType,
    ReferenceName,
    ReferenceUri,
    Notifications,
    ResourceSubscriptions,
    SubscribedUri,
    TaskIds,
    SubscribedTask,
    /// Where nothing has a meaning in the protocol, such as inside `arguments`.
    Elsewhere,
}

/// The significant members of one protocol object. Those at `Elsewhere` are not read, but no
/// other member may pass for them.
type Significant = &'static [(&'static str, Place)];

const MESSAGE: Significant = &[
    ("jsonrpc", Place::JsonRpc),
    ("id", Place::Id),
    ("method", Place::Method),
    ("params", Place::Params),
    ("result", Place::Result),
    ("error", Place::Error),
];

const PARAMS: Significant = &[
    ("name", Place::Name),
    ("arguments", Place::Arguments),
    ("_meta", Place::Meta),
    ("uri", Place::Uri),
    ("cursor", Place::Cursor),
    ("ref", Place::Reference),
    ("taskId", Place::TaskId),
    ("notifications", Place::Notifications),
    ("task", Place::AskedTask),
    ("requestId", Place::RequestId),
    ("inputResponses", Place::Elsewhere),
    ("requestState", Place::Elsewhere),
    ("protocolVersion", Place::OfferedVersion),
];

const RESULT: Significant = &[
    ("roots", Place::ResultRoots),
    ("action", Place::ResultAction),
    ("role", Place::ResultRole),
    ("model", Place::ResultModel),
    ("_meta", Place::Meta),
];

const META: Significant = &[
    ("io.modelcontextprotocol/protocolVersion", Place::ProtocolVersion),
    ("io.modelcontextprotocol/clientCapabilities", Place::ClientCapabilities),
    (RELATED_TASK, Place::RelatedTask),
];

const CAPABILITIES: Significant = &[("extensions", Place::Extensions)];

const EXTENSIONS: Significant = &[("io.modelcontextprotocol/tasks", Place::TasksExtension)];

const RELATED_TASK_MEMBERS: Significant = &[("taskId", Place::RelatedTaskId)];

const REFERENCE: Significant =
    &[("type", Place::ReferenceType), ("name", Place::ReferenceName), ("uri", Place::ReferenceUri)];

const NOTIFICATIONS: Significant =
    &[("resourceSubscriptions", Place::ResourceSubscriptions), ("taskIds", Place::TaskIds)];

impl Observer for Drafts<'_> {
    type Place = Place;

    fn member(&mut self, place: Place, name: &str) -> Result<Place, JsonError> {
        // Servers in JavaScript drop it or inherit from it, at any depth.
        if name == "__proto__" {
            return Err(JsonError::PrototypeMember);
        }
        let significant = match place {
            Place::Body | Place::Message => MESSAGE,
            Place::Params => PARAMS,
            Place::Result => RESULT,
            Place::Meta => META,
            Place::ClientCapabilities => CAPABILITIES,
            Place::Extensions => EXTENSIONS,
            Place::RelatedTask => RELATED_TASK_MEMBERS,
            Place::Reference => REFERENCE,
            Place::Notifications => NOTIFICATIONS,
            _ => return Ok(Place::Elsewhere),
        };
        if let Some((_, member)) = significant.iter().find(|(exact, _)| *exact == name) {
            return Ok(*member);
        }
        if significant.iter().any(|(exact, _)| passes_for(name, exact)) {
            return Err(JsonError::NameVariant);
        }
        if name == "constructor" {
            return Err(JsonError::PrototypeMember);
        }
        Ok(if place == Place::Result { Place::ResultOther } else { Place::Elsewhere })
    }

    fn element(&mut self, place: Place) -> Place {
        match place {
            Place::Body => Place::Message,
            Place::ResourceSubscriptions => Place::SubscribedUri,
            Place::TaskIds => Place::SubscribedTask,
            _ => Place::Elsewhere,
        }
    }

    fn value(&mut self, place: Place, token: Token<'_>) {
        match (place, token) {
            (Place::Body, Token::Array) => self.is_batch = true,
            (Place::Body | Place::Message, _) => {
                if self.messages.len() <= BATCH_MESSAGES {
                    let is_object = matches!(token, Token::Object);
                    self.messages.push(Draft { is_object, ..Draft::default() });
                }
            }
            _ => {
                if let Some(message) = self.messages.last_mut() {
                    message.value(place, token, self.body);
                }
            }
        }
    }
}

impl Draft {
    /// Whether it says that it belongs to a task, but not to which.
    pub(super) fn has_wrong_related_task(&self) -> bool {
        let names_task = matches!(self.related_task_id, Member::Present(_));
        !self.related_task.is_absent() && (self.related_task.is_wrong() || !names_task)
    }

    fn value(&mut self, place: Place, token: Token<'_>, body: &[u8]) {
        match place {
            Place::JsonRpc => self.jsonrpc = must(matches!(token, Token::String("2.0"))),
            Place::Id => self.id = Id::from_token(token).into(),
            Place::Method => {
                self.method = match token {
                    Token::String(name) => Member::Present(Method::from_name(name)),
                    _ => Member::Wrong,
                }
            }
            Place::Result => self.result = object(token),
            Place::ResultRoots => self.result_members.roots = true,
            Place::ResultAction => self.result_members.action = true,
            Place::ResultRole => self.result_members.role = true,
            Place::ResultModel => self.result_members.model = true,
            Place::ResultOther => self.result_members.others = true,
            Place::Error => self.error = object(token),
            Place::Params => self.params = object(token),
            Place::Name => self.name = text(token),
            Place::Uri => self.uri = text(token),
            Place::TaskId => self.task_id = Task::from_token(token, body).into(),
            Place::AskedTask => self.asks_for_task = true,
            Place::RequestId => self.request_id = Id::from_token(token).into(),
            Place::Cursor => {
                let clean = |cursor: &str| !cursor.chars().any(char::is_control);
                self.cursor = must(matches!(token, Token::String(cursor) if clean(cursor)));
            }
            // `null` stands for no arguments.
            Place::Arguments => {
                self.arguments = must(matches!(token, Token::Object | Token::Null));
            }
            Place::Meta => self.meta = object(token),
            Place::ProtocolVersion => self.protocol_version = text(token),
            Place::ClientCapabilities => self.client_capabilities = object(token),
            Place::TasksExtension => self.knows_tasks = true,
            Place::RelatedTask => self.related_task = object(token),
            Place::RelatedTaskId => self.related_task_id = Task::from_token(token, body).into(),
            Place::OfferedVersion => {
                let offer = |name: &str| Offer { name: name.into(), place: span(body, name) };
                self.offer = bounded(token).map(offer).into();
            }
            Place::Reference => self.reference = object(token),
            Place::ReferenceType => self.reference_type = text(token),
            Place::ReferenceName => self.reference_name = text(token),
            Place::ReferenceUri => self.reference_uri = text(token),
            Place::Notifications => self.notifications = object(token),
            Place::ResourceSubscriptions => self.resource_subscriptions = array(token),
            Place::SubscribedUri => self.subscribed_uris.push(text(token)),
            Place::TaskIds => self.task_ids = array(token),
            Place::SubscribedTask => {
                self.subscribed_tasks.push(Task::from_token(token, body).into());
            }
            Place::Body | Place::Message | Place::Extensions | Place::Elsewhere => {}
        }
    }
}

fn must(valid: bool) -> Member<()> {
    valid.then_some(()).into()
}

fn object(token: Token<'_>) -> Member<()> {
    must(matches!(token, Token::Object))
}

fn array(token: Token<'_>) -> Member<()> {
    must(matches!(token, Token::Array))
}

fn text(token: Token<'_>) -> Member<Box<str>> {
    bounded(token).map(Box::from).into()
}

/// A string of bounded length without control characters.
pub(super) fn bounded(token: Token<'_>) -> Option<&str> {
    match token {
        Token::String(text) if text.len() <= TEXT_BYTES && !text.chars().any(char::is_control) => {
            Some(text)
        }
        _ => None,
    }
}
