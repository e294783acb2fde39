//! What the authorization servers that people have write into their access tokens, as far as it
//! differs from RFC 9068. `docs/tokens.md` has a section on each.

use super::HttpUrl;
use super::duration::Duration;
use super::pushed::{Endpoint, Issuer, Profile};
use crate::token::{Expectations, Revoked};

/// What a profile says.
struct Settings {
    token_types: &'static [&'static str],
    scope_claims: &'static [&'static str],
    client_claims: &'static [&'static str],
    client_required: bool,
    max_lifetime: Duration,
}

impl Profile {
    /// Where ID tokens have no `typ` of their own, they are known by what they lack: the client.
    fn settings(self) -> Settings {
        let rfc9068 = Settings {
            token_types: &["at+jwt"],
            scope_claims: &["scope"],
            client_claims: &["client_id"],
            client_required: true,
            max_lifetime: Duration::seconds(3_600),
        };
        match self {
            Self::Rfc9068 => rfc9068,
            Self::Keycloak => {
                Settings { token_types: &["JWT", "at+jwt"], client_claims: &["azp"], ..rfc9068 }
            }
            Self::Okta => Settings {
                token_types: &["", "JWT", "at+jwt"],
                scope_claims: &["scp"],
                client_claims: &["cid"],
                max_lifetime: Duration::seconds(24 * 3_600),
                ..rfc9068
            },
            Self::Entra => Settings {
                token_types: &["JWT"],
                scope_claims: &["scp"],
                client_claims: &["azp"],
                // 60 to 90 minutes at random, and `iat` lies five minutes back.
                max_lifetime: Duration::seconds(2 * 3_600),
                ..rfc9068
            },
            Self::Auth0 => Settings {
                token_types: &["JWT", "at+jwt"],
                client_claims: &["client_id", "azp"],
                max_lifetime: Duration::seconds(24 * 3_600),
                ..rfc9068
            },
        }
    }
}

/// Without a profile: as RFC 9068, and for servers that name the client as OpenID Connect has it, or
/// not at all.
const DEFAULT: Settings = Settings {
    token_types: &["at+jwt"],
    scope_claims: &["scope"],
    client_claims: &["client_id", "azp"],
    client_required: false,
    max_lifetime: Duration::seconds(3_600),
};

/// Whether the tokens of an issuer must name the client.
pub(super) fn requires_client(raw: &Issuer) -> bool {
    let settings = raw.profile.map_or(DEFAULT, Profile::settings);
    raw.client_required.unwrap_or(settings.client_required)
}

/// The audiences of an issuer for which none are written: what clients ask for (RFC 8707 section 2), by
/// the metadata that they find.
pub(super) struct Audiences {
    resource: Vec<Box<str>>,
    /// Of each endpoint alone, by their places.
    endpoints: Vec<Box<str>>,
}

impl Audiences {
    /// Those of a protected resource and of its endpoints.
    pub(super) fn new(resource: Option<&HttpUrl>, endpoints: &[Endpoint]) -> Self {
        let origin = resource.map(HttpUrl::origin).unwrap_or_default();
        Self {
            resource: resource.map(HttpUrl::spellings).unwrap_or_default(),
            endpoints: endpoints.iter().map(|one| [origin, &one.path].concat().into()).collect(),
        }
    }
}

/// What the tokens of an issuer must be: what is written, else what its profile says.
pub(super) fn expectations(raw: &Issuer, default: &Audiences, revoked: Revoked) -> Expectations {
    let settings = raw.profile.map_or(DEFAULT, Profile::settings);
    let texts = |written: &Option<Vec<String>>, otherwise: &[&str]| match written {
        Some(written) => super::boxed(written),
        None => otherwise.iter().map(|text| (*text).into()).collect(),
    };
    let (audiences, endpoints) = match &raw.audiences {
        Some(written) => (super::boxed(written), Vec::new()),
        None => (default.resource.clone(), default.endpoints.clone()),
    };
    Expectations {
        audiences,
        endpoints,
        exact_audience: false,
        token_types: texts(&raw.token_types, settings.token_types),
        scope_claims: texts(&raw.scope_claims, settings.scope_claims),
        client_claims: texts(&raw.client_claims, settings.client_claims),
        client_required: requires_client(raw),
        kept_claims: Vec::new(),
        max_lifetime: raw.max_lifetime.unwrap_or(settings.max_lifetime).as_seconds(),
        leeway: raw.leeway.as_seconds(),
        revoked,
    }
}
