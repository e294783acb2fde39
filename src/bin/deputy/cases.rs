//! `policies/NAME.test.yaml`: decision cases as people write them.

mod expect;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use mcp_deputy::config::{Config, ConfigErrors, Problems, typed};
use mcp_deputy::policy::source::Policy;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::call::{Call, What};
use crate::caller::Caller;
use crate::moment::Moment;
use crate::source::read_yaml;
pub use expect::{Allow, Deny, Expect, SignIn};

/// The decision cases of one policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "it is called like the file that it is in")]
pub struct Cases {
    /// When the calls come that do not say it themselves. Needed where rules or callers speak of
    /// moments; elsewhere by default now.
    pub at: Option<Moment>,
    /// Who calls, by the names that the cases use.
    pub callers: BTreeMap<String, Caller>,
    /// Calls and what becomes of them.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// What callers are shown.
    #[serde(default)]
    pub lists: Vec<List>,
}

/// A call and what becomes of it; several, where one of the names is a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The call.
    pub given: Given,
    /// What becomes of it.
    pub expect: Expect,
}

/// A call: a caller, and one of `tool`, `prompt`, `resource` and `method`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Who calls.
    pub caller: Names,
    /// The path of the endpoint; by default each that the policy judges.
    pub endpoint: Option<String>,
    /// The tool that is called.
    #[serde(default)]
    pub tool: Names,
    /// The prompt that is got.
    #[serde(default)]
    pub prompt: Names,
    /// The resource that is read.
    #[serde(default)]
    pub resource: Names,
    /// The method, if it has no object.
    #[serde(default)]
    pub method: Names,
    /// The arguments of the tool or prompt.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// When.
    pub at: Option<Moment>,
}

/// What a caller is shown of the objects that the policy or this file names: exactly these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Who asks.
    pub caller: Names,
    /// The path of the endpoint; by default each that the policy judges.
    pub endpoint: Option<String>,
    /// The tools.
    pub tools: Option<Vec<String>>,
    /// The prompts.
    pub prompts: Option<Vec<String>>,
    /// The resources.
    pub resources: Option<Vec<String>>,
    /// When.
    pub at: Option<Moment>,
}

/// One name or several.
#[derive(Debug, Clone, Default)]
pub struct Names(pub Vec<String>);

impl Given {
    /// The calls, one for each name; what is wrong with them goes to `problems`.
    fn calls(&self, path: &str, problems: &mut Problems) -> Vec<Call> {
        let kinds = [
            ("tool", &self.tool),
            ("prompt", &self.prompt),
            ("resource", &self.resource),
            ("method", &self.method),
        ];
        let mut written = kinds.into_iter().filter(|(_, names)| !names.0.is_empty());
        let (Some((kind, names)), None) = (written.next(), written.next()) else {
            let help = "write exactly one of `tool`, `prompt`, `resource` and `method`";
            problems.add_with_help(path, "not one call", help);
            return Vec::new();
        };
        if !self.arguments.is_empty() && !matches!(kind, "tool" | "prompt") {
            problems.add(format!("{path}.arguments"), "only tools and prompts have arguments");
        }
        let object = |name: &String| match kind {
            "tool" => Some(What::Tool(name.clone())),
            "prompt" => Some(What::Prompt(name.clone())),
            "resource" => Some(What::Resource(name.clone())),
            _ => What::method(name, &format!("{path}.method"), problems),
        };
        let objects = names.0.iter().filter_map(object);
        objects.map(|what| Call { what, arguments: self.arguments.clone() }).collect()
    }
}

/// What a file of cases is checked against.
pub struct Surroundings<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// The names of its rules, without the policy's.
    pub rules: BTreeSet<String>,
    /// Whether some of them depend on the time.
    pub reads_time: bool,
    /// The paths of the endpoints that it judges.
    pub endpoints: Vec<&'a str>,
    /// The configuration.
    pub config: &'a Config,
}

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// Why that is not possible, or what has the wrong shape in it.
    pub fn read(file: &Path) -> Result<Self, ConfigErrors> {
        let mut problems = Problems::default();
        let document = read_yaml(file).map_err(|message| problems.add("", message));
        let cases = document.ok().and_then(|document| problems.take(typed(document)));
        problems.into_result(cases)
    }

    /// The calls of each case; what is wrong with this file goes to `problems`.
    pub fn compile(&self, around: &Surroundings, problems: &mut Problems) -> Vec<Vec<Call>> {
        let mut calls = Vec::new();
        let speaks_of_moments = self.callers.values().any(|caller| caller.auth_time.is_some());
        let times = self.cases.iter().map(|case| case.given.at);
        let mut times = times.chain(self.lists.iter().map(|list| list.at));
        if (around.reads_time || speaks_of_moments)
            && self.at.is_none()
            && times.any(|at| at.is_none())
        {
            let help = "write when the calls come, like `at: 2026-11-23T09:00:00Z`";
            problems.add_with_help("at", "what becomes of the cases changes with the time", help);
        }
        for (name, caller) in &self.callers {
            caller.check(&format!("callers.{name}"), around.config, problems);
        }
        for (index, case) in self.cases.iter().enumerate() {
            let path = format!("cases[{index}]");
            let given = format!("{path}.given");
            let Given { caller, endpoint, .. } = &case.given;
            self.check_who(caller, endpoint.as_ref(), &given, around, problems);
            calls.push(case.given.calls(&given, problems));
            case.expect.check(&format!("{path}.expect"), around, problems);
        }
        for (index, list) in self.lists.iter().enumerate() {
            let path = format!("lists[{index}]");
            self.check_who(&list.caller, list.endpoint.as_ref(), &path, around, problems);
            if list.tools.is_none() && list.prompts.is_none() && list.resources.is_none() {
                let help = "write `tools`, `prompts` or `resources`";
                problems.add_with_help(path, "expects nothing", help);
            }
        }
        calls
    }

    fn check_who(
        &self,
        callers: &Names,
        endpoint: Option<&String>,
        path: &str,
        around: &Surroundings,
        problems: &mut Problems,
    ) {
        if callers.0.is_empty() {
            problems.add(format!("{path}.caller"), "name at least one caller");
        }
        for name in callers.0.iter().filter(|name| !self.callers.contains_key(*name)) {
            let known = self.callers.keys().map(String::as_str);
            let message = format!("unknown caller `{name}`");
            problems.add_unknown(format!("{path}.caller"), message, name, known);
        }
        if let Some(name) = endpoint.filter(|name| !around.endpoints.contains(&name.as_str())) {
            let message = format!("`{}` judges no endpoint `{name}`", around.policy);
            let known = around.endpoints.iter().copied();
            problems.add_unknown(format!("{path}.endpoint"), message, name, known);
        }
    }

    /// The names of the objects of a kind (`tools`, ...) that the policy or this file knows.
    pub fn known<'a>(&'a self, kind: &str, policy: &'a Policy) -> BTreeSet<&'a str> {
        let (rules, declared) = match kind {
            "tools" => (&policy.tools, policy.declares.tools.as_ref()),
            "prompts" => (&policy.prompts, policy.declares.prompts.as_ref()),
            _ => (&policy.resources, None),
        };
        let in_cases = self.cases.iter().flat_map(|case| match kind {
            "tools" => &case.given.tool.0,
            "prompts" => &case.given.prompt.0,
            _ => &case.given.resource.0,
        });
        let in_lists = self.lists.iter().filter_map(|list| list.of(kind)).flatten();
        let named = rules.keys().filter(|name| !name.ends_with('*'));
        let all = named.chain(declared.into_iter().flatten()).chain(in_cases).chain(in_lists);
        all.map(String::as_str).collect()
    }
}

impl List {
    /// What it says of the objects of a kind.
    pub fn of(&self, kind: &str) -> Option<&Vec<String>> {
        match kind {
            "tools" => self.tools.as_ref(),
            "prompts" => self.prompts.as_ref(),
            _ => self.resources.as_ref(),
        }
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Names;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a name or a list of names")
            }

            fn visit_str<E>(self, name: &str) -> Result<Names, E> {
                Ok(Names(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        input.deserialize_any(OneOrSeveral)
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One name or several.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
        })
    }
}
