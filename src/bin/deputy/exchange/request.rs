//! A token request, without its secrets.

use std::fmt::Write;

use mcp_deputy::exchange::{Callout, Purpose};
use mcp_deputy::fingerprint::fingerprint;
use serde_json::{Value, json};

use super::server::Server;
use crate::report::visible;

/// A token request as it may be shown.
pub struct Request {
    is_for_own_token: bool,
    url: String,
    headers: Vec<(String, Shown)>,
    form: Vec<(String, Shown)>,
}

/// A value as it may be shown.
pub enum Shown {
    Plain(String),
    /// A token or a secret: how long it is, and the head of its SHA-256.
    Masked(usize, Box<str>),
    /// Envoy adds it.
    ByEnvoy,
    /// The token that an earlier request gives.
    Given,
}

/// What stands for a token that is asked for first.
pub const OWN_TOKEN: &str = "the-token-that-is-asked-for-first";

/// The parameters that hold tokens and secrets.
const SECRETS: [&str; 5] =
    ["subject_token", "actor_token", "assertion", "client_assertion", "client_secret"];

impl Shown {
    /// A token or a secret.
    pub fn masked(text: &str) -> Self {
        Self::Masked(text.len(), fingerprint(text.as_bytes()))
    }

    pub fn text(&self) -> String {
        match self {
            Self::Plain(text) => visible(text),
            Self::Masked(length, sha256) => format!("({length} bytes, sha256 {sha256}…)"),
            Self::ByEnvoy => "(added by Envoy)".to_owned(),
            Self::Given => "(the token that the first request gives)".to_owned(),
        }
    }

    pub fn json(&self) -> Value {
        match self {
            Self::Plain(text) => json!(text),
            Self::Masked(length, sha256) => json!({"bytes": length, "sha256_head": sha256}),
            Self::ByEnvoy => json!({"from": "envoy"}),
            Self::Given => json!({"from": "the first request"}),
        }
    }
}

impl Request {
    /// Reads what the filter would send.
    pub fn new(callout: &Callout, server: &Server, is_injected: bool) -> Self {
        let mut headers: Vec<(String, Shown)> = Vec::new();
        for (name, value) in &callout.headers {
            let shown = match *name {
                ":method" | ":path" => continue,
                "authorization" => Shown::masked(value),
                _ => Shown::Plain(value.to_string()),
            };
            headers.push((name.trim_start_matches(':').replace("authority", "host"), shown));
        }
        if is_injected {
            let authorization = server.authorization().map_or(Shown::ByEnvoy, Shown::masked);
            headers.push(("authorization".to_owned(), authorization));
        }
        let form = form_urlencoded::parse(&callout.body).map(|(name, value)| {
            let shown = match &*name {
                _ if value == OWN_TOKEN => Shown::Given,
                name if SECRETS.contains(&name) => Shown::masked(&value),
                _ => Shown::Plain(value.into_owned()),
            };
            (name.into_owned(), shown)
        });
        Self {
            is_for_own_token: matches!(callout.purpose, Purpose::OwnToken(_)),
            url: server.url(callout),
            headers,
            form: form.collect(),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let first = if self.is_for_own_token { "first, this gateway's own token:\n" } else { "" };
        let mut text = format!("{first}POST {}\n", self.url);
        for (blank, members) in [("", &self.headers), ("\n", &self.form)] {
            text.push_str(blank);
            let width = members.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            for (name, value) in members {
                let _ = writeln!(text, "  {name:width$}  {}", value.text());
            }
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let object = |members: &[(String, Shown)]| {
            let members = members.iter().map(|(name, value)| (name.clone(), value.json()));
            members.collect::<Value>()
        };
        json!({
            "for": if self.is_for_own_token { "own_token" } else { "delegation" },
            "method": "POST",
            "url": self.url,
            "headers": object(&self.headers),
            "form": object(&self.form),
        })
    }
}
