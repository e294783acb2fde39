//! The lists by which a server shows its objects.

use super::{Method, Object};

/// A list in the result of a list method.
///
/// Sources: `ListToolsResult`, `ListPromptsResult`, `ListResourcesResult` and
/// `ListResourceTemplatesResult` in the schema of each revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `tools`
    Tools,
    /// `prompts`
    Prompts,
    /// `resources`
    Resources,
    /// `resourceTemplates`
    ResourceTemplates,
}

impl List {
    /// All lists.
    pub const ALL: [Self; 4] =
        [Self::Tools, Self::Prompts, Self::Resources, Self::ResourceTemplates];

    /// The list that a method asks for.
    #[must_use]
    pub fn of(method: Method) -> Option<Self> {
        match method {
            Method::ToolsList => Some(Self::Tools),
            Method::PromptsList => Some(Self::Prompts),
            Method::ResourcesList => Some(Self::Resources),
            Method::ResourcesTemplatesList => Some(Self::ResourceTemplates),
            _ => None,
        }
    }

    /// The member of the result that holds it.
    #[must_use]
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    /// The member of an element by which requests name the object.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }

    /// The object that an element with this key stands for.
    #[must_use]
    pub fn object(self, key: Box<str>) -> Object {
        match self {
            Self::Tools => Object::Tool(key),
            Self::Prompts => Object::Prompt(key),
            Self::Resources => Object::Resource(key),
            Self::ResourceTemplates => Object::ResourceTemplate(key),
        }
    }
}
