//! Would-denials summed up, in bounded memory.

use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::Write;
use std::hash::BuildHasher;

use mcp_deputy::audit::escape;
use serde_json::{Map, Value, json};

/// How many combinations of rule, object and reason are listed.
const MOST_ROWS: usize = 1_000;
/// How many subjects, and how many clients, of one row are told apart.
const MOST_NAMES: usize = 1_000;
/// How many characters of a text are kept.
const LONGEST_TEXT: usize = 512;
/// How many would-denials are remembered, so as to count none twice.
const MOST_REMEMBERED: usize = 1_000_000;

/// What the lines of logs add up to.
#[derive(Default)]
pub struct Sum {
    rows: BTreeMap<Key, Row>,
    hasher: RandomState,
    seen: HashSet<u64>,
    /// The same, oldest first.
    remembered: VecDeque<u64>,
    records: u64,
    repeated: u64,
    other_lines: u64,
    /// Would-denials beyond the most rows.
    not_listed: u64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rule: String,
    object: String,
    reason: String,
}

struct Row {
    count: u64,
    subjects: Names,
    clients: Names,
    first: String,
    last: String,
    message: String,
}

/// Different names, as far as they are told apart.
#[derive(Default)]
struct Names(HashSet<u64>);

impl Names {
    fn add(&mut self, name: u64) {
        if self.0.len() < MOST_NAMES {
            self.0.insert(name);
        }
    }

    fn count(&self) -> String {
        let number = self.0.len();
        format!("{number}{}", if number < MOST_NAMES { "" } else { "+" })
    }
}

impl Sum {
    /// Adds a line that holds this record, or none.
    pub fn add(&mut self, record: Option<&Map<String, Value>>) {
        let Some(record) = record else {
            self.other_lines = self.other_lines.saturating_add(1);
            return;
        };
        self.records = self.records.saturating_add(1);
        let Some(Value::Object(denial)) = record.get("would_deny") else { return };
        if self.is_known(record) {
            self.repeated = self.repeated.saturating_add(1);
            return;
        }
        let key = Key {
            rule: text(denial, "rule"),
            object: object(record),
            reason: text(denial, "reason"),
        };
        if self.rows.len() >= MOST_ROWS && !self.rows.contains_key(&key) {
            self.not_listed = self.not_listed.saturating_add(1);
            return;
        }
        let time = text(record, "time");
        let row = self.rows.entry(key).or_insert_with(|| Row {
            count: 0,
            subjects: Names::default(),
            clients: Names::default(),
            first: time.clone(),
            last: time.clone(),
            message: text(denial, "message"),
        });
        row.count = row.count.saturating_add(1);
        // The same subject of two issuers is two people.
        let subject = (text(record, "issuer"), text(record, "subject"));
        row.subjects.add(self.hasher.hash_one(subject));
        row.clients.add(self.hasher.hash_one(text(record, "client")));
        // All times are of one form and in UTC.
        if time < row.first {
            row.first = time;
        } else if time > row.last {
            row.last = time;
        }
    }

    /// Whether this very record has been counted, from another log.
    fn is_known(&mut self, record: &Map<String, Value>) -> bool {
        // Members are sorted, whoever wrote them anew.
        let hash = self.hasher.hash_one(Value::Object(record.clone()).to_string());
        if !self.seen.insert(hash) {
            return true;
        }
        self.remembered.push_back(hash);
        if self.remembered.len() > MOST_REMEMBERED
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }

    /// How many there are.
    pub fn would_denials(&self) -> u64 {
        self.rows.values().map(|row| row.count).fold(self.not_listed, u64::saturating_add)
    }

    /// Whether there were lines and nothing in them was a record.
    pub fn holds_no_record(&self) -> bool {
        self.records == 0 && self.other_lines > 0
    }

    /// The most frequent first.
    fn rows(&self) -> Vec<(&Key, &Row)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, row)| Reverse(row.count));
        rows
    }

    /// The rows for people; nothing if there are none.
    pub fn table(&self) -> String {
        const TITLES: [&str; 9] = [
            "count", "subjects", "clients", "rule", "object", "reason", "first", "last", "message",
        ];
        if self.rows.is_empty() {
            return String::new();
        }
        let titles = TITLES.map(ToOwned::to_owned);
        let cells = |(key, row): (&Key, &Row)| {
            [
                row.count.to_string(),
                row.subjects.count(),
                row.clients.count(),
                printable(&key.rule),
                printable(&key.object),
                printable(&key.reason),
                printable(&row.first),
                printable(&row.last),
                printable(&row.message),
            ]
        };
        let lines: Vec<_> =
            [titles].into_iter().chain(self.rows().into_iter().map(cells)).collect();
        let mut widths = [0; TITLES.len()];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        lines.iter().fold(String::new(), |mut table, line| {
            let mut padded = String::new();
            for (index, (cell, width)) in line.iter().zip(widths).enumerate() {
                // Numbers end at the same place, words begin there.
                let _ = match index {
                    0..3 => write!(padded, "{cell:>width$}  "),
                    _ => write!(padded, "{cell:<width$}  "),
                };
            }
            table += padded.trim_end();
            table + "\n"
        })
    }

    /// What was read, in one line.
    pub fn summary(&self) -> String {
        let mut text =
            format!("{} would-denials in {} audit records", self.would_denials(), self.records);
        for (number, what) in [
            (self.repeated, "more had been read before"),
            (self.not_listed, "are in no row, since there are too many"),
            (self.other_lines, "other lines"),
        ] {
            if number > 0 {
                let _ = write!(text, "; {number} {what}");
            }
        }
        text
    }

    /// The same for programs.
    pub fn json(&self) -> String {
        let row = |(key, row): (&Key, &Row)| {
            json!({
                "rule": key.rule, "object": key.object, "reason": key.reason,
                "count": row.count,
                "subjects": row.subjects.0.len(), "clients": row.clients.0.len(),
                "first": row.first, "last": row.last, "message": row.message,
            })
        };
        let rows: Value = self.rows().into_iter().map(row).collect();
        let json = json!({
            "would_denials": self.would_denials(),
            "rows": rows,
            "records": self.records,
            "repeated": self.repeated,
            "other_lines": self.other_lines,
            "not_listed": self.not_listed,
            "most_names_told_apart": MOST_NAMES,
        });
        escape(format!("{json:#}\n"))
    }
}

/// A member that is a text; `-` if there is none.
fn text(object: &Map<String, Value>, name: &str) -> String {
    let text = object.get(name).and_then(Value::as_str).unwrap_or("-");
    text.chars().take(LONGEST_TEXT).collect()
}

/// What the operation was on.
fn object(record: &Map<String, Value>) -> String {
    let named = ["tool", "prompt", "resource", "method"];
    let name = named.into_iter().find(|name| record.contains_key(*name));
    match name {
        Some(name) => text(record, name),
        None if record.contains_key("batch") => "batch".to_owned(),
        None => "-".to_owned(),
    }
}

/// A text from a log, as no terminal obeys it.
fn printable(text: &str) -> String {
    let quoted = escape(Value::from(text).to_string());
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().replace("\\\"", "\"")
}
