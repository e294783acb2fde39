//! What is asked of an authorization server.

use std::time::Duration;

use form_urlencoded::Serializer;

use super::client::Signer;
use super::settings::{Actor, Profile};
use super::source::{Grant, RequestedTokenType, TargetParameter, TokenType};
use super::{Callout, Key, Purpose};
use crate::clock::Now;
use crate::token::BearerToken;

/// RFC 8693 section 3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// RFC 8693 section 3.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl TokenType {
    /// Its name (RFC 8693 section 3).
    pub(super) const fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => ACCESS_TOKEN,
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => JWT,
        }
    }
}

impl RequestedTokenType {
    /// Its name, if it is asked for by name.
    pub(super) const fn urn(self) -> Option<&'static str> {
        match self {
            Self::AccessToken => Some(ACCESS_TOKEN),
            Self::Jwt => Some(JWT),
            Self::Omitted => None,
        }
    }
}

/// The request for a delegation token (RFC 8693 section 2.1), or Entra's on-behalf-of request, with
/// so much time for the answer. `attempt` is its number.
pub(super) fn exchange(
    profile: &Profile,
    (key, attempt): (&Key, u64),
    actor: Option<&BearerToken>,
    time: Duration,
    signer: &dyn Signer,
    now: Now,
) -> Callout {
    let (subject, target) = (key.subject_token.reveal(), &key.target);
    let mut form = Serializer::new(String::new());
    match profile.grant {
        Grant::TokenExchange => {
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
                .append_pair("subject_token", subject)
                .append_pair("subject_token_type", profile.subject_token_type.urn());
        }
        Grant::JwtBearerOnBehalfOf => {
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", subject)
                .append_pair("requested_token_use", "on_behalf_of");
        }
    }
    if let Some(requested) = profile.requested_token_type.urn() {
        form.append_pair("requested_token_type", requested);
    }
    if let Some(actor) = actor {
        form.append_pair("actor_token", actor.reveal())
            .append_pair("actor_token_type", profile.actor_token_type.urn());
    }
    let names: &[&str] = match profile.target {
        TargetParameter::Audience => &["audience"],
        TargetParameter::Resource => &["resource"],
        TargetParameter::Both => &["audience", "resource"],
        TargetParameter::None => &[],
    };
    for name in names {
        form.append_pair(name, &target.audience);
    }
    form.append_pair("scope", &profile.scope(target));
    if let Some(details) = &target.authorization_details {
        form.append_pair("authorization_details", details);
    }
    for (name, value) in &profile.parameters {
        form.append_pair(name, value);
    }
    let callout = callout(profile, form, Purpose::Delegation(key.clone(), attempt), signer, now);
    Callout { timeout: time, ..callout }
}

/// The request for this gateway's own token (RFC 6749 section 4.4).
///
/// None if the profile needs none.
pub(super) fn own_token(
    profile: &Profile,
    place: usize,
    signer: &dyn Signer,
    now: Now,
) -> Option<Callout> {
    let Actor::Own(credentials) = &profile.actor_token else { return None };
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    for (name, value) in [("scope", &credentials.scope), ("audience", &credentials.audience)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    Some(callout(profile, form, Purpose::OwnToken(place), signer, now))
}

fn callout(
    profile: &Profile,
    mut form: Serializer<'_, String>,
    purpose: Purpose,
    signer: &dyn Signer,
    now: Now,
) -> Callout {
    let authorization = profile.client.authenticate(&mut form, &purpose, signer, now);
    let mut headers: Vec<(&'static str, Box<str>)> = vec![
        (":method", "POST".into()),
        (":path", profile.path.clone()),
        (":authority", profile.authority.clone()),
        ("content-type", "application/x-www-form-urlencoded".into()),
        ("accept", "application/json".into()),
    ];
    headers.extend(authorization.map(|value| ("authorization", value)));
    Callout {
        cluster: profile.cluster.clone(),
        headers,
        body: form.finish().into_bytes(),
        timeout: profile.timeout.as_std(),
        purpose,
    }
}
