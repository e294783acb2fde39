//! Pairs of policies, the same for the same seed.

use serde_json::{Map, Value, json};

/// What a generated policy may say besides scopes.
#[derive(Clone, Copy, PartialEq)]
pub enum Language {
    ScopesAlone,
    Whole,
}

/// A generator of pseudo-random numbers (xorshift64*).
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }

    /// `count` of them at the most, and one at least.
    fn some<T: Clone + PartialEq>(&mut self, from: &[T], count: u64) -> Vec<T> {
        let mut some = Vec::new();
        for _ in 0..=self.below(count) {
            let one = self.pick(from);
            if !some.contains(&one) {
                some.push(one);
            }
        }
        some
    }
}

pub const SCOPES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];
pub const TOOLS: [&str; 7] = ["a", "ab", "abc", "a*", "ab*", "b", "*"];
pub const RESOURCES: [&str; 4] = ["x://r/*", "x://r/a/*", "x://r/a/b", "x://r/{name}"];
pub const METHODS: [&str; 2] = ["tools/list", "logging/setLevel"];

/// A policy and the scopes that its endpoint requires.
#[derive(Clone, Debug)]
pub struct Side {
    pub policy: Value,
    pub required: Vec<&'static str>,
}

/// A policy, and one that was made of it or has nothing to do with it.
pub fn pair(random: &mut Random, language: Language) -> [Side; 2] {
    let old = side(random, language);
    let mut new = if random.one_in(4) { side(random, language) } else { old.clone() };
    for _ in 0..random.below(4) {
        mutate(random, language, &mut new);
    }
    [old, new]
}

fn side(random: &mut Random, language: Language) -> Side {
    let mut policy = json!({"audience": "https://a.example/", "baseline": baseline(random)});
    for (kind, names, likely) in
        [("tools", &TOOLS[..], 3), ("resources", &RESOURCES[..], 2), ("methods", &METHODS[..], 1)]
    {
        let chosen: Vec<&str> =
            names.iter().copied().filter(|_| random.below(4) < likely).collect();
        let rules = chosen.into_iter().map(|name| (name.to_owned(), rules(random, language, kind)));
        policy[kind] = Value::Object(rules.collect());
    }
    if random.one_in(10) {
        policy["enforcement"] = json!("shadow");
    }
    Side { policy, required: required(random) }
}

fn required(random: &mut Random) -> Vec<&'static str> {
    if random.one_in(3) { random.some(&SCOPES, 1) } else { Vec::new() }
}

fn baseline(random: &mut Random) -> Value {
    if random.one_in(4) {
        return json!("without_token");
    }
    json!({"delegation": delegation(random)})
}

fn delegation(random: &mut Random) -> Value {
    let mut delegation = json!({"scope": random.pick(&["d0", "d1"])});
    if random.one_in(8) {
        delegation["audience"] = json!("https://b.example/");
    }
    if random.one_in(8) {
        delegation["cache"] = json!(false);
    }
    delegation
}

fn rules(random: &mut Random, language: Language, kind: &str) -> Value {
    let count = random.pick(&[1, 1, 2, 3]);
    (0..count).map(|_| rule(random, language, kind)).collect()
}

fn rule(random: &mut Random, language: Language, kind: &str) -> Value {
    let mut require = Map::new();
    if random.one_in(2) {
        require.insert("scopes".to_owned(), json!(random.some(&SCOPES, 2)));
    }
    if random.one_in(3) {
        require.insert("any_scope".to_owned(), json!(random.some(&SCOPES, 3)));
    }
    if language == Language::Whole {
        conditions(random, kind, &mut require);
    }
    let mut rule = json!({"require": require, "delegation": delegation(random)});
    if random.one_in(12) {
        rule["enforcement"] = json!(random.pick(&["shadow", "enforce"]));
    }
    if random.one_in(6) {
        rule["denial"] = json!(random.pick(&["error", "hidden", "forbidden"]));
    }
    rule
}

fn conditions(random: &mut Random, kind: &str, require: &mut Map<String, Value>) {
    if random.one_in(4) {
        require.insert("clients".to_owned(), json!(random.some(&["cli", "web"], 2)));
    }
    if random.one_in(4) {
        require.insert("acr_values".to_owned(), json!(random.some(&["silver", "gold"], 2)));
    }
    if random.one_in(4) {
        let departments = random.some(&["hr", "it", "law"], 2);
        require.insert("claims".to_owned(), json!({"department": {"in": departments}}));
    }
    if kind != "tools" {
        return;
    }
    if random.one_in(2) {
        let mut amount = match random.below(5) {
            0 => json!({"max": random.pick(&[1, 5, 9])}),
            1 => json!({"min": random.pick(&[1, 5, 9])}),
            2 => json!({"min": 2, "max": random.pick(&[5, 9])}),
            3 => json!({"in": random.some(&[json!(1), json!(5), json!("x")], 3)}),
            _ => json!({"matches": random.pick(&["x", "x|y"])}),
        };
        if random.one_in(3) {
            amount["presence"] = json!("optional");
        } else if random.one_in(6) {
            amount = json!({"presence": "absent"});
        }
        require.insert("arguments".to_owned(), json!({"amount": amount}));
    }
    if random.one_in(6) {
        require.insert("other_arguments".to_owned(), json!("deny"));
    }
}

/// Changes one thing.
fn mutate(random: &mut Random, language: Language, side: &mut Side) {
    let (kind, name) = match random.below(8) {
        0 => return side.required = required(random),
        1 => return side.policy["baseline"] = baseline(random),
        2 => ("methods", random.pick(&METHODS)),
        3 | 4 => ("resources", random.pick(&RESOURCES)),
        _ => ("tools", random.pick(&TOOLS)),
    };
    let objects = side.policy[kind].as_object_mut().unwrap();
    let present = objects.get_mut(name).and_then(Value::as_array_mut);
    match (random.below(4), present) {
        (0, _) => {
            objects.remove(name);
        }
        (1, Some(rules)) => rules.push(rule(random, language, kind)),
        (2, Some(rules)) => rules[0] = rule(random, language, kind),
        (3, Some(rules)) => rules.reverse(),
        _ => {
            objects.insert(name.to_owned(), rules(random, language, kind));
        }
    }
}
