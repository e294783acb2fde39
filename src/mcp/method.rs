//! The methods that a client may send, and the revisions that have them.

use super::revision::Revision;

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
    ($($method:ident $name:literal $class:ident $first:ident..=$last:ident,)*) => {
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

            /// Whether the revision has the method.
            #[must_use]
            pub fn is_in(self, revision: Revision) -> bool {
                match self {
                    $(Self::$method => {
                        (Revision::$first..=Revision::$last).contains(&revision)
                    })*
                }
            }
        }
    };
}

methods! {
    Initialize "initialize" Baseline March2025..=November2025,
    Ping "ping" Baseline March2025..=November2025,
    ServerDiscover "server/discover" Baseline July2026..=July2026,
    ToolsList "tools/list" Baseline March2025..=July2026,
    ToolsCall "tools/call" Tool March2025..=July2026,
    PromptsList "prompts/list" Baseline March2025..=July2026,
    PromptsGet "prompts/get" Prompt March2025..=July2026,
    ResourcesList "resources/list" Baseline March2025..=July2026,
    ResourcesTemplatesList "resources/templates/list" Baseline March2025..=July2026,
    ResourcesRead "resources/read" Resource March2025..=July2026,
    ResourcesSubscribe "resources/subscribe" Resource March2025..=November2025,
    ResourcesUnsubscribe "resources/unsubscribe" Resource March2025..=November2025,
    CompletionComplete "completion/complete" Completion March2025..=July2026,
    LoggingSetLevel "logging/setLevel" Baseline March2025..=November2025,
    SubscriptionsListen "subscriptions/listen" Subscription July2026..=July2026,
    TasksList "tasks/list" Baseline November2025..=November2025,
    TasksGet "tasks/get" Task November2025..=July2026,
    TasksResult "tasks/result" Task November2025..=November2025,
    TasksUpdate "tasks/update" Task July2026..=July2026,
    TasksCancel "tasks/cancel" Task November2025..=July2026,
    Initialized "notifications/initialized" Baseline March2025..=November2025,
    Cancelled "notifications/cancelled" Baseline March2025..=July2026,
    Progress "notifications/progress" Baseline March2025..=July2026,
    RootsListChanged "notifications/roots/list_changed" Baseline March2025..=November2025,
    TasksStatus "notifications/tasks/status" Baseline November2025..=November2025,
}

impl Method {
    /// Whether messages with this method are notifications: they have no id and get no response.
    #[must_use]
    pub fn is_notification(self) -> bool {
        self.as_str().starts_with("notifications/")
    }

    /// Whether servers read `params.arguments` of messages with this method.
    #[must_use]
    pub fn has_arguments(self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet)
    }

    /// Whether messages with this method tell of a request, by its id or its progress token, which
    /// say nothing of whose it is.
    #[must_use]
    pub fn tells_of_a_request(self) -> bool {
        matches!(self, Self::Cancelled | Self::Progress)
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
    fn each_revision_has_its_methods() {
        let methods = |revision| {
            let named = Method::ALL.iter().filter(|method| method.is_in(revision));
            named.map(|method| method.as_str()).collect::<Vec<_>>()
        };
        let march = methods(Revision::March2025);
        assert_eq!(march, methods(Revision::June2025));
        assert_eq!(march.len(), 17);
        let added = |revision, before: &[&'static str]| {
            methods(revision).into_iter().filter(|name| !before.contains(name)).collect::<Vec<_>>()
        };
        let november = methods(Revision::November2025);
        assert_eq!(
            added(Revision::November2025, &march),
            [
                "tasks/list",
                "tasks/get",
                "tasks/result",
                "tasks/cancel",
                "notifications/tasks/status"
            ]
        );
        assert_eq!(
            added(Revision::July2026, &november),
            ["server/discover", "subscriptions/listen", "tasks/update"]
        );
        let july = methods(Revision::July2026);
        let dropped: Vec<_> = november.into_iter().filter(|name| !july.contains(name)).collect();
        assert_eq!(
            dropped,
            [
                "initialize",
                "ping",
                "resources/subscribe",
                "resources/unsubscribe",
                "logging/setLevel",
                "tasks/list",
                "tasks/result",
                "notifications/initialized",
                "notifications/roots/list_changed",
                "notifications/tasks/status",
            ]
        );
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
