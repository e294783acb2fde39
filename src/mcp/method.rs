//! The methods that a client may send, of all revisions from 2024-11-05 to 2026-07-28.

/// What kind of rule a method needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Has no object: covered by the server's baseline delegation.
    Baseline,
    /// Calls the tool `params.name`.
    Tool,
    /// Gets the prompt `params.name`.
    Prompt,
    /// Reads the resource `params.uri`, or subscribes to it.
    Resource,
    /// Completes an argument of the prompt or resource template `params.ref`.
    Completion,
    /// Listens to the resources and tasks listed in `params.notifications`.
    Subscription,
    /// Follows or steers the task `params.taskId`.
    Task,
}

macro_rules! methods {
    ($($method:ident $name:literal $class:ident,)*) => {
        /// A method that a client may send to a server.
        ///
        /// Sources: the schema of each revision, <https://modelcontextprotocol.io/specification>,
        /// and the tasks extension (`tasks/update`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is named after its method")]
        pub enum Method { $($method,)* }

        impl Method {
            /// All methods.
            pub const ALL: &[Self] = &[$(Self::$method,)*];

            /// The name in a message's `method` member.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$method => $name,)* }
            }

            /// The method whose name is `name`, byte for byte; `None` if there is none.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$method),)* _ => None }
            }

            /// What kind of rule the method needs.
            #[must_use]
            pub fn class(self) -> Class {
                match self { $(Self::$method => Class::$class,)* }
            }
        }
    };
}

methods! {
    Initialize "initialize" Baseline,
    Ping "ping" Baseline,
    ServerDiscover "server/discover" Baseline,
    ToolsList "tools/list" Baseline,
    ToolsCall "tools/call" Tool,
    PromptsList "prompts/list" Baseline,
    PromptsGet "prompts/get" Prompt,
    ResourcesList "resources/list" Baseline,
    ResourcesTemplatesList "resources/templates/list" Baseline,
    ResourcesRead "resources/read" Resource,
    ResourcesSubscribe "resources/subscribe" Resource,
    ResourcesUnsubscribe "resources/unsubscribe" Resource,
    CompletionComplete "completion/complete" Completion,
    LoggingSetLevel "logging/setLevel" Baseline,
    SubscriptionsListen "subscriptions/listen" Subscription,
    TasksList "tasks/list" Baseline,
    TasksGet "tasks/get" Task,
    TasksResult "tasks/result" Task,
    TasksUpdate "tasks/update" Task,
    TasksCancel "tasks/cancel" Task,
    Initialized "notifications/initialized" Baseline,
    Cancelled "notifications/cancelled" Baseline,
    Progress "notifications/progress" Baseline,
    RootsListChanged "notifications/roots/list_changed" Baseline,
    TasksStatus "notifications/tasks/status" Baseline,
}

impl Method {
    /// Whether messages with this method are notifications: they have no id and get no response.
    #[must_use]
    pub fn is_notification(self) -> bool {
        self.as_str().starts_with("notifications/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for &method in Method::ALL {
            assert_eq!(Method::from_name(method.as_str()), Some(method));
        }
        assert_eq!(Method::ALL.len(), 25);
    }

    #[test]
    fn names_are_compared_byte_for_byte() {
        for name in ["", "tools/call ", " tools/call", "Tools/Call", "/tools/call", "tools//call"] {
            assert_eq!(Method::from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn notifications_have_no_object() {
        for &method in Method::ALL {
            if method.is_notification() {
                assert_eq!(method.class(), Class::Baseline, "{method:?}");
            }
        }
        assert!(Method::Cancelled.is_notification());
        assert!(!Method::ToolsCall.is_notification());
    }
}
