//! The answer as text, JSON and Markdown.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{Line, Severity};
use crate::report::{self, Failure, print, print_json, visible};

/// How to print it.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// For people, one line for each change
    Text,
    /// For programs, one JSON object
    Json,
    /// For pull requests
    Markdown,
}

impl Format {
    /// Tells programs of errors in the configurations; other failures are left for the end.
    pub fn tell(self, failure: Failure) -> Failure {
        match self {
            Self::Json => report::Format::Json.tell(failure),
            Self::Text | Self::Markdown => failure,
        }
    }

    /// Prints the changes on standard output.
    pub fn print(self, lines: &[Line]) -> Result<(), Failure> {
        match self {
            Self::Text if lines.is_empty() => print("no change in meaning\n"),
            Self::Text => print(&lines.iter().map(|line| text(line) + "\n").collect::<String>()),
            Self::Json => print_json(&json(lines)),
            Self::Markdown => print(&(markdown(lines) + "\n")),
        }
    }
}

fn text(line: &Line) -> String {
    visible(&format!("{}: {}", line.subject, words(line)))
}

fn words(Line { severity, text, endpoints, .. }: &Line) -> String {
    let may_open = if *severity == Severity::MayOpen { " (may open what was closed)" } else { "" };
    let place = if endpoints.is_empty() {
        String::new()
    } else {
        format!(" (at {})", endpoints.join(", "))
    };
    format!("{text}{may_open}{place}")
}

fn json(lines: &[Line]) -> Value {
    let change = |line: &Line| {
        json!({
            "kind": line.severity.name().replace(' ', "_"),
            "subject": line.subject,
            "text": line.text,
            "calls": line.calls,
            "endpoints": line.endpoints,
        })
    };
    json!({
        "opens": lines.iter().any(|line| line.severity.opens()),
        "changes": lines.iter().map(change).collect::<Value>(),
    })
}

fn markdown(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "**No change in meaning.**".to_owned();
    }
    let count = |severity: Severity| {
        let number = lines.iter().filter(|line| line.severity == severity).count();
        (number > 0).then(|| format!("{} {number}", severity.name()))
    };
    let counts: Vec<String> = Severity::ALL.into_iter().filter_map(count).collect();
    let mut out = format!("**Changes in meaning: {}**\n\n", counts.join(", "));
    out.push_str("| | where | what |\n|---|---|---|\n");
    for line in lines {
        let bold = if line.severity.opens() { "**" } else { "" };
        let name = line.severity.name();
        let [subject, words] = [&line.subject, &words(line)].map(|text| escaped(text));
        let _ = writeln!(out, "| {bold}{name}{bold} | {subject} | {words} |");
    }
    out.truncate(out.trim_end().len());
    out
}

/// What people wrote, as Markdown that says just that, without links and mark-up.
fn escaped(text: &str) -> String {
    let plain = visible(text).chars().fold(String::new(), |mut out, c| {
        match c {
            '&' | '<' | '>' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        out
    });
    plain.replace("://", "&#58;//")
}
