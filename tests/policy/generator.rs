//! Policies, and calls that just satisfy a rule of theirs, or just do not.

use std::time::Duration;

use chrono::DateTime;
use mcp_deputy::mcp::Revision;
use serde_json::{Map, Value, json};

use crate::stage::{AUDIENCE, ISSUER, RESOURCE};

/// Marsaglia's xorshift: small, and the same everywhere.
pub struct Random {
    state: u64,
    /// Whether claims and arguments may be other than what is meant.
    careless: bool,
}

/// A policy, and what stands around it in the configuration.
#[derive(Debug)]
pub struct Setting {
    pub scopes_supported: Vec<String>,
    pub required_scopes: Vec<String>,
    pub implied_scopes: Value,
    pub enforcement: &'static str,
    pub policy: Value,
}

/// What a caller sends, at a moment.
#[derive(Debug)]
pub struct Calls {
    pub claims: Value,
    pub now: Duration,
    pub messages: [(Value, Revision); 2],
}

const NAMES: [&str; 10] =
    ["a", "ab", "abc", "abd", "a.b", "a_b", "A", "list", "list_all", "listAll"];
const BEGINNINGS: [&str; 6] = ["*", "a*", "ab*", "list*", "list_*", "a.*"];
const URIS: [&str; 8] = [
    "docs://h/a",
    "docs://h/a/b",
    "docs://h/ab",
    "docs://h",
    "docs://h/a/",
    "file:///h/a",
    "urn:h:a/b",
    "docs://h/{id}",
];
const ODD_URIS: [&str; 43] = [
    "docs://h/",
    "docs://",
    "docs:///a",
    "docs://h/a/../b",
    "docs://h/a/./b",
    "docs://h/a/..",
    "docs://h/a/%2e%2E/b",
    "docs://h/a%2fb",
    "docs://h/a%5cb",
    "docs://h//a",
    "docs://h/a#b",
    "docs://h/a?b=c/d",
    "docs://h/a?b=../c",
    "docs://h/a/...",
    "DOCS://h/a",
    "docs://H/a",
    "docs://h/a%25b",
    "docs://h/a?b=//",
    "docs://h/a\\b",
    "docs://h/a%00",
    "file:///a",
    "docs:/h/a",
    "docs:/h/../a?://",
    "docs://h:/a",
    "docs://h:8080/a",
    "docs://h:80/a",
    "docs://h:08/a",
    "docs://h:x/a",
    "docs://@h/a",
    "docs://:@h/a",
    "docs://u@h/a",
    "docs://h./a",
    "docs://h-/a",
    "docs://%68/a",
    "docs://[::1]/a",
    "docs://1/a",
    "docs://h/%FF",
    "docs://h/%C3%A9",
    "https:///h/a",
    "https://h:443/a",
    "https://127.1/a",
    "https://127.0.0.1/a",
    "file://h/a",
];
const ABOVE: [&str; 13] = [
    "docs://h/*",
    "docs://h/a/*",
    "docs://h/a/b/*",
    "docs://*",
    "file:///*",
    "file:///h/*",
    "urn:h:a/*",
    "docs://H/*",
    "docs://u@h/*",
    "docs:/h/*",
    "https://*",
    "https://h:443/*",
    "file://*",
];
const TEMPLATES: [&str; 9] = [
    "docs://h/{id}",
    "docs://h/a/{id}",
    "docs://h/a/{+path}",
    "docs://h/a{id}",
    "docs://{host}/a",
    "docs://h/{id}/../b",
    "{scheme}://h/a",
    "docs://h/a{?query}",
    "docs://h/a",
];
const LISTS: [&str; 5] = [
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "logging/setLevel",
];
const ARGUMENTS: [&str; 13] =
    ["a", "b", "A", "m/n", "é", "/a", "/a/b", "/a/0", "/a/01", "/a/-", "/a/b/0", "/m~1n", "/m~0n"];
const CLAIMS: [&str; 12] = [
    "tier",
    "n",
    "roles",
    "org",
    "sub",
    "client_id",
    "/org/unit",
    "/org/ids/0",
    "/roles/0",
    "a/b",
    "/a~1b",
    "/aud/0",
];
const MEMBERS: [&str; 4] = ["a", "b", "/a", "m/n"];
/// Each with texts that match, or nearly do.
const EXPRESSIONS: [(&str, [&str; 4]); 8] = [
    ("[a-z]+", ["ab", "aB", "ab\n", ""]),
    ("a|ab", ["ab", "a", "abc", "b"]),
    ("a|b|", ["", "b", "ab", "a\n"]),
    ("^ORD-[0-9]{2,3}$", ["ORD-12", "ORD-1234", "ORD-12\n", "xORD-12"]),
    (".", ["é", "\n", "e\u{301}", "🙂"]),
    ("(a*)*b", ["aaaaaaaaaaaaab", "b", "aaaaaaaaaaaaaaaa", "ba"]),
    (r"\d{3}", ["123", "١٢٣", "12", "1234"]),
    (r"[^\x00-\x7f]*|\bab?\b", ["é🙂", "ab", "a", "é a"]),
];
/// No expressions of the language.
const ODD_EXPRESSIONS: [&str; 4] = ["(?i)ab", "a)|(b", "a(?=b)", "["];
const ROLES: [&str; 3] = ["s0", "s1", "s64"];
const CLIENTS: [&str; 3] = ["cli", "Cli", "cli2"];
const CLASSES: [&str; 3] = ["mfa", "urn:mfa", "MFA"];

impl Random {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike, and zero would stay zero.
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut random = Self { state, careless: true };
        random.next();
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.next() >> 11) % bound as u64).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }

    fn some<T: Clone>(&mut self, values: &[T]) -> Vec<T> {
        let mut some: Vec<T> = values.iter().filter(|_| self.one_in(2)).cloned().collect();
        if some.is_empty() {
            some.push(self.pick(values).clone());
        }
        some
    }
}

// Policies.

impl Setting {
    pub fn new(random: &mut Random) -> Self {
        // More than fit into one word of bits.
        let scopes_supported: Vec<String> = (0..70).map(|number| format!("s{number}")).collect();
        let mut policy = json!({
            "audience": AUDIENCE,
            "baseline": {"delegation": {"scope": "d:connect"}},
        });
        if random.one_in(4) {
            policy["baseline"] = json!("without_token");
        }
        if random.one_in(3) {
            policy["lifetime"] = json!(random.pick(&["7s", "1m"]));
        }
        if random.one_in(4) {
            policy["enforcement"] = json!(random.pick(&["enforce", "shadow"]));
        }
        for (kind, names, beginnings) in [
            ("tools", &NAMES[..], &BEGINNINGS[..]),
            ("prompts", &NAMES, &BEGINNINGS),
            ("resources", &URIS, &ABOVE),
            ("methods", &LISTS, &[]),
        ] {
            let mut entries = Map::new();
            for _ in 0..random.below(3) {
                let entry = if kind == "resources" && random.one_in(40) {
                    random.pick(&ODD_URIS)
                } else if beginnings.is_empty() || random.one_in(2) {
                    random.pick(names)
                } else {
                    random.pick(beginnings)
                };
                entries.insert((*entry).to_owned(), rules(random, kind));
            }
            policy[kind] = entries.into();
        }
        Self {
            scopes_supported,
            required_scopes: if random.one_in(3) { vec![] } else { vec!["s0".to_owned()] },
            implied_scopes: if random.one_in(2) { json!({}) } else { implied_scopes(random) },
            enforcement: if random.one_in(8) { "shadow" } else { "enforce" },
            policy,
        }
    }
}

/// Each implies some of those behind it.
fn implied_scopes(random: &mut Random) -> Value {
    let order = ["s69", "s6", "s65", "s2", "s1", "s0"];
    let mut implied = Map::new();
    for (at, scope) in order.iter().enumerate().take(order.len() - 1) {
        if random.one_in(3) {
            implied.insert((*scope).to_owned(), json!(random.some(&order[at + 1..])));
        }
    }
    implied.into()
}

fn rules(random: &mut Random, kind: &str) -> Value {
    let last = rule(random, kind);
    let before = random.below(6).saturating_sub(3);
    let mut rules: Vec<Value> = (0..before).map(|_| rule(random, kind)).collect();
    for rule in &mut rules {
        // Otherwise those behind it are never reached.
        while rule["require"].as_object().is_some_and(Map::is_empty) {
            rule["require"] = require(random, kind);
        }
    }
    if rules.is_empty() && !random.one_in(4) {
        return last;
    }
    rules.push(last);
    rules.into()
}

fn rule(random: &mut Random, kind: &str) -> Value {
    let mut rule = json!({"require": require(random, kind), "delegation": {"scope": "d:call"}});
    if random.one_in(2) {
        rule["message"] = json!(random.pick(&["Access denied: no.", "Zugang verwehrt: é."]));
    }
    if random.one_in(2) {
        rule["denial"] = json!(random.pick(&["step_up", "error", "forbidden", "hidden"]));
    }
    if random.one_in(5) {
        rule["enforcement"] = json!(random.pick(&["enforce", "shadow"]));
    }
    let delegation = &mut rule["delegation"];
    delegation["scope"] = json!(random.pick(&["d:call", "d:other"]));
    if random.one_in(5) {
        delegation["audience"] = json!("https://other.example/");
    }
    if random.one_in(5) {
        delegation["lifetime"] = json!("2s");
    }
    if random.one_in(5) {
        delegation["cache"] = json!(random.one_in(2));
    }
    rule
}

fn require(random: &mut Random, kind: &str) -> Value {
    let mut require = json!({});
    if random.one_in(3) {
        require["scopes"] = json!(random.some(&ROLES));
    }
    if random.one_in(4) {
        require["any_scope"] = json!(random.some(&["s2", "s1", "s65"]));
    }
    if random.one_in(6) {
        require["clients"] = json!(random.some(&CLIENTS));
    }
    if random.one_in(6) {
        require["acr_values"] = json!(random.some(&CLASSES));
    }
    if random.one_in(6) {
        require["max_age"] = json!(random.pick(&["1s", "10m", "24h"]));
    }
    if random.one_in(6) {
        require["time"] = time(random);
    }
    if random.one_in(4) {
        require["claims"] = conditions(random, &CLAIMS, false);
    }
    if matches!(kind, "tools" | "prompts") {
        if random.one_in(3) {
            require["arguments"] = conditions(random, &ARGUMENTS, true);
        }
        if random.one_in(4) {
            require["other_arguments"] = json!("deny");
        }
    }
    require
}

fn time(random: &mut Random) -> Value {
    let mut time = json!({});
    if random.one_in(2) {
        time["days"] = json!(random.some(&["monday", "thursday", "saturday", "sunday"]));
    }
    if random.one_in(2) {
        time["from"] = json!(random.pick(&["00:00", "00:01", "08:00", "09:30"]));
    }
    if random.one_in(2) {
        time["until"] = json!(random.pick(&["09:31", "18:00", "23:59", "24:00"]));
    }
    if random.one_in(2) {
        let offsets = ["+01:00", "-08:00", "+05:45", "+14:00", "-00:30", "+00:00"];
        time["utc_offset"] = json!(random.pick(&offsets));
    }
    if random.one_in(3) {
        let moments =
            ["2026-11-21T00:00:00Z", "2026-06-01T08:30:00+01:00", "2026-11-21T00:00:00.5Z"];
        time["not_before"] = json!(random.pick(&moments));
    }
    if random.one_in(3) {
        let moments = ["2026-12-18T00:00:00Z", "2026-12-31T23:59:59-08:00"];
        time["not_after"] = json!(random.pick(&moments));
    }
    time
}

fn conditions(random: &mut Random, names: &[&str], arguments: bool) -> Value {
    let mut conditions = Map::new();
    for _ in 0..=random.below(2) {
        conditions.insert((*random.pick(names)).to_owned(), condition(random, 2, arguments));
    }
    conditions.into()
}

fn condition(random: &mut Random, depth: usize, arguments: bool) -> Value {
    if random.one_in(8) {
        return json!({"presence": random.pick(&["absent", "required"])});
    }
    let mut condition = fields(random, depth, arguments);
    for _ in 0..2 {
        let more = fields(random, depth, arguments);
        // Others seldom hold together.
        if random.one_in(60) || random.one_in(3) && are_of_one_type(&condition, &more) {
            condition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
    }
    if random.one_in(4) {
        condition["presence"] = json!(random.pick(&["required", "optional", "optional"]));
    }
    condition
}

fn are_of_one_type(one: &Value, other: &Value) -> bool {
    let groups = [
        ["min", "max", "in_claim", "equals_claim"],
        ["matches", "min_length", "max_length", "in_claim"],
        ["includes", "each", "min_length", "max_length"],
        ["in", "equals", "in_claim", "equals_claim"],
    ];
    let fields = || one.as_object().unwrap().keys().chain(other.as_object().unwrap().keys());
    groups.iter().any(|group| fields().all(|field| group.contains(&field.as_str())))
}

fn fields(random: &mut Random, depth: usize, arguments: bool) -> Value {
    let kinds = if arguments { 10 } else { 8 };
    match random.below(kinds) {
        1 => json!({"in": [scalar(random), scalar(random), scalar(random)]}),
        2 => json!({"includes": scalar(random)}),
        3 => {
            let mut bounds = json!({});
            for bound in random.some(&["min", "max"]) {
                let least = [json!(0), json!(-1), json!(0.1), json!(-0.5)];
                let most = [json!(1), json!(1.5), json!(9_007_199_254_740_991_u64), json!(2.0)];
                bounds[bound] = random.pick(if bound == "min" { &least } else { &most }).clone();
            }
            bounds
        }
        4 => {
            let mut bounds = json!({});
            for bound in random.some(&["min_length", "max_length"]) {
                bounds[bound] = json!(random.below(2) + if bound == "min_length" { 1 } else { 2 });
            }
            bounds
        }
        5 if random.one_in(40) => json!({"matches": random.pick(&ODD_EXPRESSIONS)}),
        5 => json!({"matches": random.pick(&EXPRESSIONS).0}),
        6 if depth > 0 => {
            let mut each = fields(random, depth - 1, arguments);
            // Elements are always there.
            each.as_object_mut().unwrap().remove("presence");
            json!({"each": each})
        }
        7 if depth > 0 => {
            let mut members = Map::new();
            for _ in 0..=random.below(2) {
                let name = (*random.pick(&MEMBERS)).to_owned();
                members.insert(name, condition(random, depth - 1, arguments));
            }
            json!({"members": members})
        }
        8 => json!({"equals_claim": random.pick(&CLAIMS)}),
        9 => json!({"in_claim": random.pick(&CLAIMS)}),
        _ => json!({"equals": scalar(random)}),
    }
}

/// What is easily taken for each other.
fn scalar(random: &mut Random) -> Value {
    random
        .pick(&[
            json!("x"),
            json!("X"),
            json!("é"),
            json!("e\u{301}"),
            json!("🙂"),
            json!(""),
            json!("1"),
            json!("true"),
            json!("null"),
            json!(0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!(1.5),
            json!(9_007_199_254_740_991_u64),
            json!(9_007_199_254_740_991.0),
            json!(-9_007_199_254_740_991_i64),
            json!(true),
            json!(false),
            Value::Null,
        ])
        .clone()
}

/// Anything.
fn value(random: &mut Random) -> Value {
    match random.below(8) {
        0 if random.one_in(2) => json!([]),
        1 => json!([scalar(random)]),
        2 => json!({}),
        3 => json!({"a": scalar(random), "b": [scalar(random)]}),
        4 => random
            .pick(&[
                json!(9_007_199_254_740_992_u64),
                json!(9_007_199_254_740_993_u64),
                json!(18_446_744_073_709_551_615_u64),
                json!(1e300),
                json!("a".repeat(4096)),
                json!("a".repeat(4097)),
            ])
            .clone(),
        _ => scalar(random),
    }
}

// Calls.

impl Calls {
    /// Calls that mean some rule of the policy.
    pub fn new(random: &mut Random, setting: &Setting) -> Self {
        let kind = *random.pick(&["tools", "tools", "tools", "prompts", "resources", "methods"]);
        let entries = setting.policy[kind].as_object().filter(|entries| !entries.is_empty());
        let entry = entries.map(|entries| {
            let (name, rules) = entries.iter().nth(random.below(entries.len())).unwrap();
            let rules = rules.as_array().map_or(std::slice::from_ref(rules), Vec::as_slice);
            (name, random.pick(rules))
        });
        let require = entry.map_or(&Value::Null, |(_, rule)| &rule["require"]);
        let now = moment(random, &require["time"]);
        random.careless = random.one_in(2);
        let claims = claims(random, setting, require, now);
        let name = entry.map_or("a", |(name, _)| name);
        let messages = [(); 2].map(|()| message(random, kind, name, require, &claims));
        Self { claims, now, messages }
    }
}

fn moment(random: &mut Random, time: &Value) -> Duration {
    const NOVEMBER: u64 = 1_793_491_200;
    let mut seconds = NOVEMBER + random.next() % (60 * 86_400);
    let mut edges = Vec::new();
    for field in ["from", "until"] {
        if let Some(text) = time[field].as_str() {
            let (hours, minutes) = text.split_once(':').unwrap();
            let minutes = hours.parse::<u64>().unwrap() * 60 + minutes.parse::<u64>().unwrap();
            let offset = time["utc_offset"].as_str().unwrap_or("+00:00");
            let (hours, more) = offset[1..].split_once(':').unwrap();
            let offset_minutes = hours.parse::<u64>().unwrap() * 60 + more.parse::<u64>().unwrap();
            let day = seconds / 86_400 * 86_400;
            edges.push(if offset.starts_with('-') {
                day + (minutes + offset_minutes) * 60
            } else {
                day + minutes * 60 - offset_minutes * 60
            });
        }
    }
    for field in ["not_before", "not_after"] {
        if let Some(text) = time[field].as_str() {
            let moment = DateTime::parse_from_rfc3339(text).unwrap().timestamp();
            edges.push(u64::try_from(moment).unwrap());
        }
    }
    if !edges.is_empty() && !random.one_in(4) {
        seconds = *random.pick(&edges) + random.next() % 3 - 1;
    }
    Duration::new(seconds, *random.pick(&[0, 0, 500_000_000, 999_999_999]))
}

fn claims(random: &mut Random, setting: &Setting, require: &Value, now: Duration) -> Value {
    let now = now.as_secs();
    let mut claims = json!({
        "iss": ISSUER, "aud": [RESOURCE], "iat": now, "exp": now + 300, "jti": "inbound",
        "sub": random.pick(&["x", "é", "1"]),
        "tier": scalar(random), "n": scalar(random), "a/b": scalar(random),
        "roles": [scalar(random), scalar(random)],
        "org": {"unit": scalar(random), "ids": [scalar(random)]},
        "scope": scopes(random, setting, require),
    });
    let names: Vec<&str> = vec!["tier", "n", "a/b", "roles", "org"];
    for name in names {
        match random.below(12) {
            0 => claims[name] = Value::Null,
            1 => drop(claims.as_object_mut().unwrap().remove(name)),
            2 => claims[name] = value(random),
            _ => {}
        }
    }
    for (name, condition) in require["claims"].as_object().into_iter().flatten() {
        if ["sub", "client_id", "/aud/0"].contains(&name.as_str()) {
            continue;
        }
        match near(random, condition, &Value::Null) {
            Some(value) => put(&mut claims, name, value),
            None => remove(&mut claims, name),
        }
    }
    let mut one_of = |list: &Value, others: &[&str]| match (list.as_array(), random.below(4)) {
        (Some(list), 1..) => Some(random.pick(list).clone()),
        (_, 0) => None,
        _ => Some(json!(random.pick(others))),
    };
    let client = one_of(&require["clients"], &CLIENTS);
    let class = one_of(&require["acr_values"], &CLASSES);
    claims["client_id"] = client.unwrap_or_default();
    claims["acr"] = class.unwrap_or_default();
    if !random.one_in(4) {
        let age = match require["max_age"].as_str() {
            Some("1s") => 1,
            Some("10m") => 600,
            _ => 86_400,
        };
        let age = age + random.next() % 3 - 1;
        // A clock that is ahead of ours.
        claims["auth_time"] = json!(if random.one_in(8) { now + 5 } else { now - age });
    }
    claims
}

fn scopes(random: &mut Random, setting: &Setting, require: &Value) -> String {
    let mut scopes: Vec<String> = setting.required_scopes.clone();
    let named = |field: &str| {
        let list = require[field].as_array().into_iter().flatten();
        list.map(|scope| scope.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    scopes.extend(named("scopes"));
    let any = named("any_scope");
    if !any.is_empty() {
        scopes.push(random.pick(&any).clone());
    }
    if random.one_in(3) && !scopes.is_empty() {
        scopes.swap_remove(random.below(scopes.len()));
    }
    if random.one_in(3) {
        scopes.push((*random.pick(&["s6", "s69", "S1", "s1:x", "xs1", "unknown"])).to_owned());
    }
    scopes.join(" ")
}

fn message(
    random: &mut Random,
    kind: &str,
    entry: &str,
    require: &Value,
    claims: &Value,
) -> (Value, Revision) {
    let object = object(random, kind, entry);
    let arguments = arguments(random, require, claims);
    let mut revision = Revision::November2025;
    let (method, mut params) = match kind {
        "tools" => ("tools/call", json!({"name": object})),
        "prompts" if random.one_in(3) => {
            ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": object}}))
        }
        "prompts" => ("prompts/get", json!({"name": object})),
        "resources" => match random.below(6) {
            0 => ("resources/subscribe", json!({"uri": object})),
            1 => ("resources/unsubscribe", json!({"uri": object})),
            2 => {
                let template = *random.pick(&TEMPLATES);
                ("completion/complete", json!({"ref": {"type": "ref/resource", "uri": template}}))
            }
            3 => {
                revision = Revision::July2026;
                let mut uris = vec![json!(object), json!(random.pick(&URIS))];
                uris.truncate(random.below(3));
                let params = json!({"notifications": {"resourceSubscriptions": uris}});
                ("subscriptions/listen", params)
            }
            _ => ("resources/read", json!({"uri": object})),
        },
        _ if random.one_in(4) => ("ping", json!({})),
        _ => (if random.one_in(4) { random.pick(&LISTS) } else { entry }, json!({})),
    };
    let method = if method == "a" { "initialize" } else { method };
    match (arguments.is_empty(), random.below(3)) {
        (true, 0) => {}
        _ => params["arguments"] = arguments.into(),
    }
    if revision == Revision::July2026 {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    (json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}), revision)
}

/// The name of an object that the entry means, or nearly does.
fn object(random: &mut Random, kind: &str, entry: &str) -> String {
    let names = if kind == "resources" { &URIS[..] } else { &NAMES };
    match entry.strip_suffix('*') {
        _ if kind == "resources" && random.one_in(6) => (*random.pick(&ODD_URIS)).to_owned(),
        _ if random.one_in(6) => (*random.pick(names)).to_owned(),
        Some(beginning) if kind == "resources" => {
            let ends = [
                "a", "a/b", "", "..", "a/../b", "a//b", "a#", "%2E", "a%2Fb", "a?b", "a/", "a;b",
                "%41", "%c3%A9", "%C3%A9", "%0A", "a b", "%5B", "%+1",
            ];
            format!("{beginning}{}", random.pick(&ends))
        }
        Some(beginning) => format!("{beginning}{}", random.pick(&["", "a", "b", "bc", "_all"])),
        None => entry.to_owned(),
    }
}

fn arguments(random: &mut Random, require: &Value, claims: &Value) -> Map<String, Value> {
    let mut arguments = json!({});
    let conditions = require["arguments"].as_object();
    for (name, condition) in conditions.into_iter().flatten() {
        if let Some(value) = near(random, condition, claims) {
            put(&mut arguments, name, value);
        } else if let Some((around, _)) =
            name.trim_start_matches('/').rsplit_once('/').filter(|_| random.one_in(2))
        {
            // What is absent may have a neighbour.
            put(&mut arguments, &format!("/{around}/c"), scalar(random));
        }
    }
    if random.careless && random.one_in(3) {
        let name = *random.pick(&["a", "c", "", "/a", "/a/c", "A", "_a", "/a/_b"]);
        put(&mut arguments, name, value(random));
    }
    let mut arguments = arguments.as_object().unwrap().clone();
    if random.careless && random.one_in(4) {
        // Some servers read it as what it holds.
        for value in arguments.values_mut().filter(|value| value.is_object() || value.is_array()) {
            *value = value.to_string().into();
        }
    }
    arguments
}

/// A value for which the condition holds, or nearly.
fn near(random: &mut Random, condition: &Value, claims: &Value) -> Option<Value> {
    if condition["presence"] == "absent" {
        return (random.careless && random.one_in(3)).then(|| value(random));
    }
    let optional = condition["presence"] == "optional";
    if optional && random.one_in(3) || random.careless && random.one_in(12) {
        return None;
    }
    let meant = example(random, condition, claims);
    Some(if random.careless && random.one_in(4) { twist(random, meant) } else { meant })
}

fn example(random: &mut Random, condition: &Value, claims: &Value) -> Value {
    let claim = |name: &Value| {
        let name = name.as_str().unwrap();
        let found = if name.starts_with('/') { claims.pointer(name) } else { claims.get(name) };
        found.cloned().unwrap_or_default()
    };
    let fields = condition.as_object().unwrap();
    let mut fields: Vec<_> = fields.iter().filter(|(field, _)| *field != "presence").collect();
    if fields.is_empty() {
        return value(random);
    }
    let (field, x) = fields.swap_remove(random.below(fields.len()));
    match field.as_str() {
        "in" => random.pick(x.as_array().unwrap()).clone(),
        "includes" => json!([scalar(random), x]),
        "min" | "max" => {
            let steps =
                [json!(x), json!(x.as_f64().unwrap() + 0.5), json!(x.as_f64().unwrap() - 0.5)];
            random.pick(&steps).clone()
        }
        "min_length" | "max_length" => {
            let length = usize::try_from(x.as_u64().unwrap()).unwrap();
            let length = (length + random.below(3)).saturating_sub(1);
            match random.below(4) {
                0 => json!(vec![scalar(random); length]),
                1 => json!("e\u{301}".repeat(length.div_ceil(2))),
                2 => json!("🙂".repeat(length)),
                _ => json!("a".repeat(length)),
            }
        }
        "matches" => {
            let known = EXPRESSIONS.iter().find(|(expression, _)| x == expression).unwrap();
            json!(random.pick(&known.1))
        }
        "each" => {
            let elements = (0..random.below(3)).filter_map(|_| near(random, x, claims));
            elements.collect()
        }
        "members" => {
            let mut object = Map::new();
            for (name, condition) in x.as_object().unwrap() {
                if let Some(value) = near(random, condition, claims) {
                    object.insert(name.clone(), value);
                }
            }
            object.into()
        }
        "equals_claim" => claim(x),
        "in_claim" => match claim(x) {
            Value::Array(list) if !list.is_empty() => random.pick(&list).clone(),
            other => other,
        },
        _ => x.clone(),
    }
}

/// Something that is easily taken for the value.
fn twist(random: &mut Random, value: Value) -> Value {
    match (value, random.below(5)) {
        (_, 0) => Value::Null,
        (value, 1) => json!([value]),
        (value, 2) => json!(value.to_string()),
        (Value::Array(mut list), _) => {
            if random.one_in(2) {
                list.pop().unwrap_or_default()
            } else {
                list.push(self::value(random));
                list.into()
            }
        }
        (Value::String(text), 3) => json!(text.to_uppercase()),
        (Value::String(text), _) => {
            text.parse::<f64>().map_or_else(|_| json!(format!("{text} ")), |number| json!(number))
        }
        (Value::Number(number), 3) => json!(number.as_f64().unwrap()),
        (Value::Number(number), _) => json!(number.as_f64().unwrap() + 1.0),
        (Value::Object(mut object), _) => {
            object.insert((*random.pick(&MEMBERS)).to_owned(), self::value(random));
            object.into()
        }
        _ => self::value(random),
    }
}

/// Puts a value where a name or a pointer looks for it.
fn put(object: &mut Value, name: &str, value: Value) {
    let Some(pointer) = name.strip_prefix('/') else {
        object[name] = value;
        return;
    };
    let mut place = object;
    for segment in pointer.split('/') {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        place = match segment.parse::<usize>() {
            Ok(index) if index < 2 => {
                if !place.is_array() {
                    *place = json!([null, null]);
                }
                let list = place.as_array_mut().unwrap();
                list.resize(list.len().max(2), Value::Null);
                &mut list[index]
            }
            _ => {
                if !place.is_object() {
                    *place = json!({});
                }
                &mut place[segment]
            }
        };
    }
    *place = value;
}

fn remove(object: &mut Value, name: &str) {
    if !name.starts_with('/') {
        object.as_object_mut().unwrap().remove(name);
    } else if let Some(place) = object.pointer_mut(name) {
        *place = Value::Null;
    }
}
