//! The policy language as `docs/policy.md` tells it, sentence by sentence: nothing is compiled, and
//! each decision walks the policy as it is written. Read it beside that page.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::DateTime;
use regex_lite::Regex;
use serde_json::{Map, Value};

/// A policy and what its endpoint and the configuration say around it.
pub struct Reference<'a> {
    pub name: &'a str,
    pub policy: &'a Value,
    pub scopes_supported: &'a [String],
    pub required_scopes: &'a [String],
    pub implied_scopes: &'a Value,
    pub enforcement: &'a str,
}

/// A message of a caller's, at a moment.
pub struct Call<'a> {
    pub claims: &'a Value,
    pub message: &'a Value,
    pub now: Duration,
}

#[derive(Debug, PartialEq)]
pub enum Decision {
    Allowed { rule: String, delegation: Option<Delegation>, would_deny: Option<String> },
    Denied(Denied),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Delegation {
    pub scope: String,
    pub audience: String,
    pub lifetime: u64,
    pub cache: bool,
}

#[derive(Debug, PartialEq)]
pub struct Denied {
    pub rule: Option<String>,
    pub message: Message,
    pub remedy: Remedy,
}

#[derive(Debug, PartialEq)]
pub enum Message {
    OfTheRule(String),
    /// The page does not give the words.
    ByDefault,
    AsIfNoRuleNamedIt,
}

#[derive(Debug, PartialEq)]
pub enum Remedy {
    StepUp(BTreeSet<String>),
    SignIn { acr_values: Vec<String>, max_age: Option<u64>, scopes: BTreeSet<String> },
    Nothing,
    NothingByStatus,
}

/// What a rule lacks.
struct Lack {
    scopes: bool,
    sign_in: bool,
    anything_else: bool,
}

/// A rule, under its name.
type Rule<'a> = (String, &'a Value);

const NO_RULE: Denied =
    Denied { rule: None, message: Message::AsIfNoRuleNamedIt, remedy: Remedy::Nothing };

impl<'a> Reference<'a> {
    /// How a decision is made.
    pub fn decide(&self, call: &Call) -> Decision {
        let params = &call.message["params"];
        match call.message["method"].as_str().unwrap() {
            "tools/call" => {
                self.by_rules(self.rules_for_name("tools", &params["name"]), call, arguments(call))
            }
            "prompts/get" => {
                let rules = self.rules_for_name("prompts", &params["name"]);
                self.by_rules(rules, call, arguments(call))
            }
            "completion/complete" => {
                let reference = &params["ref"];
                let rules = if reference["type"] == "ref/prompt" {
                    self.rules_for_name("prompts", &reference["name"])
                } else {
                    self.rules_for_template(reference["uri"].as_str().unwrap())
                };
                self.by_rules(rules, call, Map::new())
            }
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                let rules = self.rules_for_uri(params["uri"].as_str().unwrap());
                self.by_rules(rules, call, Map::new())
            }
            "subscriptions/listen" => self.listen(call),
            method => match self.policy["methods"].get(method) {
                Some(entry) => {
                    self.by_rules(self.rules_of("methods", method, entry), call, Map::new())
                }
                None => self.by_baseline(call),
            },
        }
    }

    /// Whether a list shows the element to the caller.
    pub fn lists(&self, kind: &str, name: &str, call: &Call) -> bool {
        let rules = match kind {
            "tools" | "prompts" => self.rules_for_name(kind, &name.into()),
            "resources" => self.rules_for_uri(name),
            _ => self.rules_for_template(name),
        };
        rules.iter().any(|(_, rule)| {
            let lack = self.lack_at_best(rule, call);
            let nothing_else = !lack.anything_else;
            nothing_else && !lack.scopes && !lack.sign_in
                || nothing_else && denial(rule) == "step_up"
                || self.is_in_shadow(rule) && self.has_required_scopes(call)
        })
    }

    // Entries: the exact name, else the longest beginning.

    fn rules_for_name(&self, kind: &str, name: &Value) -> Vec<Rule<'a>> {
        let name = name.as_str().unwrap();
        self.rules_by_entry(kind, |entry| {
            let beginning = entry.strip_suffix('*');
            beginning.map_or(entry == name, |beginning| name.starts_with(beginning))
        })
    }

    fn rules_for_uri(&self, uri: &str) -> Vec<Rule<'a>> {
        self.rules_by_entry("resources", |entry| match entry.strip_suffix('*') {
            Some(above) if above.ends_with('/') => {
                let is_certain = self.is_certain(uri, uri);
                uri.starts_with(above) && is_certain && self.leads_there(uri, above, uri)
            }
            _ => entry == uri,
        })
    }

    /// Whether what some servers read of a URI, without query and last slash, neither has an entry of its
    /// own nor is what a narrower entry is below.
    fn is_certain(&self, uri: &str, known: &str) -> bool {
        let short = |uri: &str| {
            let path = uri.split('?').next().unwrap().to_owned();
            path.strip_suffix('/').map(str::to_owned).unwrap_or(path)
        };
        let entries = members(&self.policy["resources"]).map(|(entry, _)| entry);
        let (below, exact): (Vec<&String>, Vec<_>) =
            entries.partition(|entry| entry.ends_with("/*"));
        let widest_alone = below.iter().all(|entry| {
            let above = entry.strip_suffix('*').unwrap();
            !format!("{}/", short(known)).starts_with(above) || known.starts_with(above)
        });
        is_plain(uri) && widest_alone && exact.iter().all(|entry| short(entry) != short(known))
    }

    /// Whether the entry names the host, or no entry of the scheme does, or all servers read the same of
    /// the one that is written. Of a template's host, that is for the requests to show.
    fn leads_there(&self, uri: &str, above: &str, whole: &str) -> bool {
        let parts = Regex::new("^([a-z0-9+.-]+)://([^/?]*)(/?)").unwrap();
        let Some(found) = parts.captures(uri) else { return true };
        if above.len() >= found[0].len() && !found[3].is_empty() {
            return true;
        }
        let mut entries = members(&self.policy["resources"]).map(|(entry, _)| entry);
        let open = format!("{}://", &found[1]);
        let named =
            entries.any(|entry| entry.starts_with(&open) && entry.trim_end_matches('*') != open);
        if !named || uri != whole && uri == &found[0] && found[3].is_empty() && !uri.contains('?') {
            return true;
        }
        let ipv4 = {
            let byte = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
            format!(r"{byte}\.{byte}\.{byte}\.{byte}")
        };
        let host = &found[2];
        let is = |pattern: &str, text: &str| {
            Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(text)
        };
        let is_host = match &found[1] {
            "file" => host.is_empty(),
            "http" | "https" | "ws" | "wss" | "ftp" => {
                !host.is_empty() && (!is(r"(.*\.)?([0-9]*|0x.*)", host) || is(&ipv4, host))
            }
            _ => true,
        };
        is_host && !is(r".*([A-Z@:%\[]|\.$|-\.|-$).*", host)
    }

    /// An entry of the same text, or what its text before the first `{` is below.
    fn rules_for_template(&self, template: &str) -> Vec<Rule<'a>> {
        let before = template.split('{').next().unwrap();
        self.rules_by_entry("resources", |entry| match entry.strip_suffix('*') {
            Some(above) if above.ends_with('/') => {
                before.starts_with(above)
                    && self.is_certain(template, before)
                    && self.leads_there(before, above, template)
            }
            _ => entry == template,
        })
    }

    fn rules_by_entry(&self, kind: &str, names: impl Fn(&str) -> bool) -> Vec<Rule<'a>> {
        let Some(entries) = self.policy[kind].as_object() else { return Vec::new() };
        let entries = entries.iter().filter(|(entry, _)| names(entry));
        let counts = entries.max_by_key(|(entry, _)| (!entry.ends_with('*'), entry.len()));
        counts.map_or_else(Vec::new, |(entry, rules)| self.rules_of(kind, entry, rules))
    }

    fn rules_of(&self, kind: &str, entry: &str, rules: &'a Value) -> Vec<Rule<'a>> {
        let name = format!("{}.{kind}.{entry}", self.name);
        match rules.as_array() {
            None => vec![(name, rules)],
            Some(rules) if rules.len() == 1 => vec![(name, &rules[0])],
            Some(rules) => {
                let rules = rules.iter().enumerate();
                rules.map(|(index, rule)| (format!("{name}[{index}]"), rule)).collect()
            }
        }
    }

    // Decisions.

    fn by_rules(&self, rules: Vec<Rule>, call: &Call, arguments: Map<String, Value>) -> Decision {
        let arguments = &Value::Object(arguments);
        let lacks = |rule: &Value| self.lack(rule, call, arguments);
        for (name, rule) in &rules {
            if lacks(rule).is_nothing() {
                return self.allowed(name, rule, None);
            }
        }
        let would_help =
            |(_, rule): &&Rule| !lacks(rule).anything_else && denial(rule) == "step_up";
        let Some((name, rule)) = rules.iter().find(would_help).or(rules.first()) else {
            return Decision::Denied(NO_RULE);
        };
        let in_shadow = rules.iter().find(|(_, rule)| self.is_in_shadow(rule));
        if let Some((shadow, rule)) = in_shadow
            && self.has_required_scopes(call)
        {
            return self.allowed(shadow, rule, Some(name.clone()));
        }
        Decision::Denied(self.denied(name, rule, &lacks(rule), call))
    }

    fn by_baseline(&self, call: &Call) -> Decision {
        let rule = format!("{}.baseline", self.name);
        if self.has_required_scopes(call) {
            let delegation = &self.policy["baseline"]["delegation"];
            let delegation = delegation.is_object().then(|| self.delegation(delegation));
            return Decision::Allowed { rule, delegation, would_deny: None };
        }
        let remedy = Remedy::StepUp(self.scopes_with_held(&Value::Null, call));
        Decision::Denied(Denied { rule: Some(rule), message: Message::ByDefault, remedy })
    }

    /// Each resource must be allowed, and all under the same delegation; none is the baseline's. The
    /// denial names the first rule that delegates otherwise.
    fn listen(&self, call: &Call) -> Decision {
        let uris = &call.message["params"]["notifications"]["resourceSubscriptions"];
        let mut common: Option<Decision> = None;
        for uri in uris.as_array().into_iter().flatten() {
            let rules = self.rules_for_uri(uri.as_str().unwrap());
            let next = self.by_rules(rules, call, Map::new());
            let Decision::Allowed { rule, delegation: next_delegation, would_deny: next_would } =
                &next
            else {
                return next;
            };
            match &mut common {
                None => common = Some(next),
                Some(Decision::Allowed { delegation, .. }) if delegation != next_delegation => {
                    let rule = Some(rule.clone());
                    return Decision::Denied(Denied {
                        rule,
                        message: Message::ByDefault,
                        ..NO_RULE
                    });
                }
                Some(Decision::Allowed { would_deny, .. }) => {
                    *would_deny = would_deny.take().or(next_would.clone());
                }
                Some(Decision::Denied(_)) => unreachable!("a denial is returned at once"),
            }
        }
        common.unwrap_or_else(|| self.by_baseline(call))
    }

    fn allowed(&self, name: &str, rule: &Value, would_deny: Option<String>) -> Decision {
        let delegation = Some(self.delegation(&rule["delegation"]));
        Decision::Allowed { rule: name.to_owned(), delegation, would_deny }
    }

    fn delegation(&self, delegation: &Value) -> Delegation {
        let own_or_policys = |field| {
            let own = delegation.get(field).or(self.policy.get(field));
            own.and_then(Value::as_str)
        };
        Delegation {
            scope: text(&delegation["scope"]),
            audience: own_or_policys("audience").unwrap().to_owned(),
            lifetime: seconds(own_or_policys("lifetime").unwrap_or("5s")),
            cache: delegation["cache"] != false,
        }
    }

    /// Denials: the table.
    fn denied(&self, name: &str, rule: &Value, lack: &Lack, call: &Call) -> Denied {
        let own = rule["message"].as_str();
        let message = own.map_or(Message::ByDefault, |own| Message::OfTheRule(own.to_owned()));
        let remedy = match denial(rule) {
            "hidden" => return Denied { rule: Some(name.to_owned()), ..NO_RULE },
            "forbidden" => Remedy::NothingByStatus,
            "error" => Remedy::Nothing,
            "step_up" if lack.anything_else => Remedy::Nothing,
            "step_up" if lack.sign_in => Remedy::SignIn {
                acr_values: texts(&rule["require"]["acr_values"]),
                max_age: rule["require"]["max_age"].as_str().map(seconds),
                scopes: if lack.scopes {
                    self.scopes_with_held(&rule["require"], call)
                } else {
                    BTreeSet::new()
                },
            },
            "step_up" => Remedy::StepUp(self.scopes_with_held(&rule["require"], call)),
            other => unreachable!("{other}"),
        };
        Denied { rule: Some(name.to_owned()), message, remedy }
    }

    // What a rule lacks.

    fn lack(&self, rule: &Value, call: &Call, arguments: &Value) -> Lack {
        let mut lack = self.lack_at_best(rule, call);
        let require = &rule["require"];
        let hold = |(name, condition): (&String, &Value)| {
            let argument = find_argument(arguments, name);
            argument.is_ok_and(|argument| holds(condition, argument, Some(call.claims)))
        };
        lack.anything_else |= !is_now(&require["time"], call.now)
            || !members(&require["arguments"]).all(hold)
            || require["other_arguments"] == "deny" && has_others(require, arguments);
        lack
    }

    /// What it lacks with the best arguments at the best time.
    fn lack_at_best(&self, rule: &Value, call: &Call) -> Lack {
        let require = &rule["require"];
        let claim = |(name, condition): (&String, &Value)| {
            holds(condition, find_claim(call.claims, name), None)
        };
        let could = |(_, condition): (&String, &Value)| could_hold(condition, call.claims);
        let client = &call.claims["client_id"];
        let anything_else = !is_one_of(&require["clients"], client)
            || !members(&require["claims"]).all(claim)
            || !members(&require["arguments"]).all(could);
        Lack {
            scopes: !self.scopes_lacking(require, call).is_empty(),
            sign_in: !is_one_of(&require["acr_values"], &call.claims["acr"])
                || !is_fresh(&require["max_age"], &call.claims["auth_time"], call.now),
            anything_else,
        }
    }

    fn scopes_lacking(&self, require: &Value, call: &Call) -> BTreeSet<String> {
        let held = self.with_implied(held(call));
        let needed = self.scopes_needed(require, &held);
        needed.difference(&held).cloned().collect()
    }

    fn scopes_with_held(&self, require: &Value, call: &Call) -> BTreeSet<String> {
        // What the configuration does not know cannot be asked for, and what is implied need not be.
        let known = held(call).into_iter().filter(|scope| self.scopes_supported.contains(scope));
        self.scopes_lacking(require, call).into_iter().chain(known).collect()
    }

    /// The endpoint's, the rule's, and of `any_scope`, if none is held, the first.
    fn scopes_needed(&self, require: &Value, held: &BTreeSet<String>) -> BTreeSet<String> {
        let mut needed: BTreeSet<String> = self.required_scopes.iter().cloned().collect();
        needed.extend(texts(&require["scopes"]));
        let any = texts(&require["any_scope"]);
        if !any.iter().any(|scope| held.contains(scope)) {
            needed.extend(any.first().cloned());
        }
        needed
    }

    /// With what they imply, and what that implies in turn.
    fn with_implied(&self, mut held: BTreeSet<String>) -> BTreeSet<String> {
        loop {
            let implied = held.iter().flat_map(|scope| texts(&self.implied_scopes[scope]));
            let more: BTreeSet<String> = implied.filter(|scope| !held.contains(scope)).collect();
            if more.is_empty() {
                return held;
            }
            held.extend(more);
        }
    }

    fn has_required_scopes(&self, call: &Call) -> bool {
        let held = self.with_implied(held(call));
        self.required_scopes.iter().all(|scope| held.contains(scope))
    }

    fn is_in_shadow(&self, rule: &Value) -> bool {
        let says = |at: &'a Value| at["enforcement"].as_str();
        let own = rule["enforcement"].as_str();
        own.or(says(self.policy)).unwrap_or(self.enforcement) == "shadow"
    }
}

impl Lack {
    fn is_nothing(&self) -> bool {
        !(self.scopes || self.sign_in || self.anything_else)
    }
}

fn denial(rule: &Value) -> &str {
    rule["denial"].as_str().unwrap_or("step_up")
}

fn held(call: &Call) -> BTreeSet<String> {
    let scope = call.claims["scope"].as_str().unwrap_or_default();
    scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

fn arguments(call: &Call) -> Map<String, Value> {
    call.message["params"]["arguments"].as_object().cloned().unwrap_or_default()
}

/// Whether every server takes it to lead where its text says.
fn is_plain(uri: &str) -> bool {
    let (scheme, after) = uri.split_once(':').unwrap_or_default();
    let rest = after.strip_prefix("//").unwrap_or(after);
    let needs_slashes = ["http", "https", "ws", "wss", "ftp", "file"].contains(&scheme);
    let unescaped = percent_encoding::percent_decode_str(uri).decode_utf8();
    let is_due = |text: &str| {
        let is_hex = |digits: &&str| Regex::new("^[0-9A-F]*$").unwrap().is_match(digits);
        let digits = text.get(..2).filter(is_hex);
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let needless =
            |code: u8| code.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/\\%".contains(&code);
        code.is_some_and(|code| !needless(code))
    };
    !scheme.contains(|letter: char| letter.is_ascii_uppercase())
        && (after.starts_with("//") || !needs_slashes)
        && unescaped.is_ok_and(|text| !text.contains(char::is_control))
        && !rest.split(['/', '?']).any(|segment| matches!(segment, "." | ".."))
        && !rest.contains("//")
        && !rest.contains(['\\', '#'])
        && uri.bytes().all(|byte| byte.is_ascii_graphic())
        && !uri.contains([';', '"', '<', '>', '^', '`', '|'])
        && uri.split('%').skip(1).all(is_due)
}

// `require`.

/// Without a list, anything.
fn is_one_of(list: &Value, value: &Value) -> bool {
    list.as_array().is_none_or(|list| list.contains(value))
}

fn is_fresh(max_age: &Value, auth_time: &Value, now: Duration) -> bool {
    let Some(max_age) = max_age.as_str() else { return true };
    let Some(auth_time) = auth_time.as_u64() else { return false };
    now.as_secs() <= auth_time + seconds(max_age)
}

fn has_others(require: &Value, arguments: &Value) -> bool {
    let named: BTreeSet<String> = members(&require["arguments"])
        .filter(|(_, condition)| condition["presence"] != "absent")
        .map(|(name, _)| match name.strip_prefix('/') {
            None => name.clone(),
            Some(pointer) => {
                let first = pointer.split('/').next().unwrap();
                first.replace("~1", "/").replace("~0", "~")
            }
        })
        .collect();
    members(arguments).any(|(name, _)| !named.contains(name))
}

/// By name, or by JSON Pointer.
fn find<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    if name.starts_with('/') { object.pointer(name) } else { object.get(name) }
}

/// The argument there, unless some server could find one where there is none.
fn find_argument<'v>(arguments: &'v Value, name: &str) -> Result<Option<&'v Value>, ()> {
    let unescape = |token: &str| token.replace("~1", "/").replace("~0", "~");
    let tokens: Vec<String> = match name.strip_prefix('/') {
        Some(path) => path.split('/').map(unescape).collect(),
        None => vec![name.to_owned()],
    };
    let mut found = Some(arguments);
    for token in tokens {
        found = match found {
            None | Some(Value::Null) => return Ok(None),
            Some(object @ Value::Object(_)) => member(object, &token)?,
            Some(list @ Value::Array(_)) => {
                let is_index = Regex::new("^(0|[1-9][0-9]*)$").unwrap().is_match(&token);
                list.get(token.parse::<usize>().ok().filter(|_| is_index).ok_or(())?)
            }
            Some(_) => return Err(()),
        };
    }
    Ok(found)
}

/// The member of this very name, unless there is one of the name in another case or spelling.
fn member<'v>(object: &'v Value, name: &str) -> Result<Option<&'v Value>, ()> {
    // Both Turkish letters `i` too.
    let folded = |name: &str| {
        name.replace('\u{130}', "i").replace(['_', '-'], "").to_uppercase().to_lowercase()
    };
    if members(object).any(|(other, _)| other != name && folded(other) == folded(name)) {
        return Err(());
    }
    Ok(object.get(name))
}

/// A claim that is `null` is absent.
fn find_claim<'v>(claims: &'v Value, name: &str) -> Option<&'v Value> {
    find(claims, name).filter(|claim| !claim.is_null())
}

// Conditions.

fn holds(condition: &Value, value: Option<&Value>, claims: Option<&Value>) -> bool {
    let presence = condition["presence"].as_str().unwrap_or("required");
    let Some(value) = value else { return presence != "required" };
    if presence == "absent" {
        return false;
    }
    let inner = |condition: &Value, value: Option<&Value>| holds(condition, value, claims);
    let claim = |name: &Value| find_claim(claims.unwrap(), name.as_str().unwrap());
    let list = value.as_array();
    // What some servers read as a list, an object or nothing is no text.
    let json = Regex::new(r"^\s*(\[(?s:.*)\]|\{(?s:.*)\}|null)\s*$").unwrap();
    let text = value.as_str().filter(|text| !json.is_match(text));
    let length = text.map(|text| text.chars().count()).or(list.map(Vec::len));
    members(condition).all(|(field, x)| match field.as_str() {
        "presence" => true,
        "equals" => is_same(value, x),
        "in" => x.as_array().unwrap().iter().any(|x| is_same(value, x)),
        "includes" => list.is_some_and(|list| list.iter().any(|element| is_same(element, x))),
        "min" => number(value).is_some_and(|value| value >= number(x).unwrap()),
        "max" => number(value).is_some_and(|value| value <= number(x).unwrap()),
        "min_length" => length.is_some_and(|length| length as u64 >= x.as_u64().unwrap()),
        "max_length" => length.is_some_and(|length| length as u64 <= x.as_u64().unwrap()),
        "matches" => text.is_some_and(|text| {
            let whole = Regex::new(&format!(r"\A(?:{})\z", x.as_str().unwrap())).unwrap();
            text.len() <= 4096 && whole.is_match(text)
        }),
        "each" => list.is_some_and(|list| list.iter().all(|element| inner(x, Some(element)))),
        "members" => {
            value.is_object()
                && members(x)
                    .all(|(name, x)| member(value, name).is_ok_and(|found| inner(x, found)))
        }
        "equals_claim" => claim(x).is_some_and(|claim| is_same(value, claim)),
        "in_claim" => {
            let list = claim(x).and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|element| is_same(value, element)))
        }
        other => unreachable!("{other}"),
    })
}

/// Whether it would hold for some argument.
fn could_hold(condition: &Value, claims: &Value) -> bool {
    let presence = condition["presence"].as_str().unwrap_or("required");
    presence != "required"
        || members(condition).all(|(field, x)| match field.as_str() {
            "equals_claim" => find_claim(claims, x.as_str().unwrap()).is_some_and(is_scalar),
            "in_claim" => {
                let list = find_claim(claims, x.as_str().unwrap()).and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(is_scalar))
            }
            "members" => members(x).all(|(_, x)| could_hold(x, claims)),
            // For `each` there is the empty list.
            _ => true,
        })
}

/// Of the same type, and strings, numbers, booleans or `null`.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one == other,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Null, Value::Null) => true,
        (Value::Number(_), Value::Number(_)) => {
            number(one).is_some() && number(one) == number(other)
        }
        _ => false,
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// One beyond ±(2^53 − 1) is no number here.
fn number(value: &Value) -> Option<f64> {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    value.as_f64().filter(|number| number.abs() <= LARGEST)
}

// Time.

fn is_now(time: &Value, now: Duration) -> bool {
    let moment = |field: &str| {
        let text = time[field].as_str()?;
        Some(DateTime::parse_from_rfc3339(text).unwrap().timestamp())
    };
    let now = i64::try_from(now.as_secs()).unwrap();
    let offset = time["utc_offset"].as_str().map_or(0, |text| {
        let minutes = minutes(&text[1..]);
        if text.starts_with('-') { -minutes } else { minutes }
    });
    let local = now + offset * 60;
    let minute = local.rem_euclid(86_400) / 60;
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    // The first of January 1970 was a Thursday.
    let today = days[usize::try_from((local.div_euclid(86_400) + 3).rem_euclid(7)).unwrap()];
    is_one_of(&time["days"], &today.into())
        && time["from"].as_str().is_none_or(|from| minutes(from) <= minute)
        && time["until"].as_str().is_none_or(|until| minute < minutes(until))
        && moment("not_before").is_none_or(|moment| moment <= now)
        && moment("not_after").is_none_or(|moment| now < moment)
}

/// `HH:MM`.
fn minutes(text: &str) -> i64 {
    let (hours, minutes) = text.split_once(':').unwrap();
    hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap()
}

// Reading JSON.

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

/// `5s`, `10m`, `1h`.
fn seconds(duration: &str) -> u64 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    number.parse::<u64>().unwrap()
        * match unit {
            "s" => 1,
            "m" => 60,
            _ => 3_600,
        }
}
