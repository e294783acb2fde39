//! `docs/reasons.md`, and the pages that it names, have every word that a record can give for a reason.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The filter's own source.
fn sources(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("bin") && !path.ends_with("tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// The body of the function that `text` begins with the head of.
fn body(text: &str) -> &str {
    let mut depth = 0_usize;
    let braces = text.match_indices(['{', '}']);
    let end = braces.skip_while(|(_, brace)| *brace != "{").find(|(_, brace)| {
        depth = if *brace == "{" { depth + 1 } else { depth - 1 };
        depth == 0
    });
    text.split_at(end.unwrap().0).0
}

/// The words that stand in `text` right behind `before`.
fn words<'t>(text: &'t str, before: &str) -> impl Iterator<Item = &'t str> {
    let quoted = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
    quoted.filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

#[test]
fn every_reason_is_explained() {
    let mut source = Vec::new();
    sources(&root().join("src"), &mut source);
    let mut reasons = BTreeSet::new();
    for text in &source {
        let functions = ["fn reason(", "fn detail("].map(|name| text.split(name).skip(1));
        for function in functions.into_iter().flatten() {
            reasons.extend(words(body(function), "=> \""));
        }
        let denials = text.split("Denial::nothing(").skip(1);
        reasons.extend(denials.flat_map(|rest| words(rest.trim_start(), "\"").take(1)));
    }
    assert!(reasons.len() > 75, "they are written otherwise now: {reasons:?}");
    let pages = ["reasons", "tokens", "failures"];
    let pages =
        pages.map(|page| fs::read_to_string(root().join(format!("docs/{page}.md"))).unwrap());
    let cells: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.lines())
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();
    let is_open = |word: &&&str| !cells.iter().any(|cell| cell.contains(&format!("`{word}`")));
    assert_eq!(reasons.iter().filter(is_open).collect::<Vec<_>>(), Vec::<&&str>::new());
}
