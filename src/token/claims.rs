//! The claims of a JWT (RFC 7519 section 4, RFC 8693 section 4, RFC 9068 section 2.2).

use serde_json::{Map, Value};

use super::{Claims, Expectations, MayAct, TokenError};

/// The longest identifier: issuer, subject, audience, client, `jti`, `acr`.
const MAX_IDENTIFIER_BYTES: usize = 1024;
/// The most members of `aud`.
const MAX_AUDIENCES: usize = 64;
/// The deepest chain of `act`.
const MAX_ACTORS: usize = 8;
/// Claims that ID tokens and logout tokens have and access tokens do not (OpenID Connect Core
/// sections 2 and 3.1.3.6, Back-Channel Logout section 2.4).
const IDENTITY_CLAIMS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

type Members = Map<String, Value>;

/// Claims that are well-formed and that nobody may believe yet.
pub(super) struct RawClaims {
    pub(super) issuer: Box<str>,
    subject: Box<str>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) expires_at: u64,
    pub(super) issued_at: u64,
    pub(super) not_before: Option<u64>,
    /// All of them, for those whose names are configured.
    members: Members,
}

impl RawClaims {
    /// Reads the claims without which a token is no token.
    ///
    /// # Errors
    /// When `iss`, `sub`, `aud`, `exp` or `iat` is missing, or when one of them or `nbf` is not
    /// what its RFC says.
    pub(super) fn read(members: Members) -> Result<Self, TokenError> {
        Ok(Self {
            issuer: required("iss", identifier(&members, "iss"))?,
            subject: required("sub", identifier(&members, "sub"))?,
            audiences: audiences(&members)?,
            expires_at: required("exp", date(&members, "exp"))?,
            issued_at: required("iat", date(&members, "iat"))?,
            not_before: date(&members, "nbf")?,
            members,
        })
    }

    /// Whether the token is bound to a key of its holder (RFC 7800 section 3.1).
    pub(super) fn is_sender_constrained(&self) -> bool {
        self.members.contains_key("cnf")
    }

    /// Whether one of `names` is there.
    pub(super) fn names_client(&self, names: &[Box<str>]) -> bool {
        names.iter().any(|name| present(&self.members, name).is_some())
    }

    /// Whether the claims are those of an ID token or a logout token. Only a token whose `typ`
    /// does not say what it is needs this question.
    pub(super) fn is_of_other_type(&self) -> bool {
        let says = |name, other: &[&str]| {
            let value = self.members.get(name).and_then(Value::as_str);
            value.is_some_and(|value| other.iter().any(|word| value.eq_ignore_ascii_case(word)))
        };
        IDENTITY_CLAIMS.iter().any(|name| self.members.contains_key(*name))
            // Keycloak and Amazon Cognito name the type in a claim of their own.
            || says("typ", &["ID", "Serialized-ID", "Refresh", "Offline", "Logout"])
            || says("token_use", &["id", "refresh"])
    }

    /// Reads the claims that are optional or whose names are configured, and so all of them.
    ///
    /// # Errors
    /// When one of them is present and malformed, or says what is revoked. Scopes are never malformed: what is not
    /// understood grants nothing.
    pub(super) fn complete(self, expectations: &Expectations) -> Result<Claims, TokenError> {
        let members = &self.members;
        let actor = object(members, "act")?;
        let claims = Claims {
            id: identifier(members, "jti")?,
            client: client(members, &expectations.client_claims)?,
            scopes: scopes(members, &expectations.scope_claims),
            actors: actors(members)?,
            actor_client: actor.map_or(Ok(None), |actor| identifier(actor, "client_id"))?,
            may_act: may_act(members)?,
            session: identifier(members, "sid")?,
            acr: identifier(members, "acr")?,
            auth_time: date(members, "auth_time")?,
            members: kept(members, &expectations.kept_claims),
            issuer: self.issuer,
            subject: self.subject,
            audiences: self.audiences,
            expires_at: self.expires_at,
            issued_at: self.issued_at,
        };
        if expectations.revoked.covers(&claims) {
            return Err(TokenError::Revoked);
        }
        Ok(claims)
    }
}

/// The claims with these names.
fn kept(members: &Members, names: &[Box<str>]) -> Members {
    let kept = names.iter().filter_map(|name| Some((name, present(members, name)?)));
    kept.map(|(name, value)| (name.to_string(), value.clone())).collect()
}

/// The subjects of the actors in `act`, outermost first (RFC 8693 section 4.1).
fn actors(members: &Members) -> Result<Vec<Box<str>>, TokenError> {
    let mut actors = Vec::new();
    let mut next = object(members, "act")?;
    while let Some(actor) = next {
        let subject = identifier(actor, "sub")?;
        actors.push(subject.ok_or(TokenError::MissingClaim("act.sub"))?);
        if actors.len() > MAX_ACTORS {
            return Err(TokenError::MalformedClaim("act".into()));
        }
        next = object(actor, "act")?;
    }
    Ok(actors)
}

/// Who may act for the subject (RFC 8693 section 4.4).
fn may_act(members: &Members) -> Result<Option<MayAct>, TokenError> {
    let Some(party) = object(members, "may_act")? else { return Ok(None) };
    Ok(Some(MayAct {
        subject: identifier(party, "sub")?,
        client: identifier(party, "client_id")?,
        issuer: identifier(party, "iss")?,
    }))
}

/// The first of `names` that is present.
fn client(members: &Members, names: &[Box<str>]) -> Result<Option<Box<str>>, TokenError> {
    let first = names.iter().find(|name| present(members, name).is_some());
    first.map_or(Ok(None), |name| identifier(members, name))
}

/// The scopes in the first of `names` that is present, and in no other: a union would grant
/// what neither claim alone does. What is no scope grants nothing to a caller, for no rule asks for
/// it; a delegation token must not have it.
fn scopes(members: &Members, names: &[Box<str>]) -> Vec<Box<str>> {
    let candidates: Option<Vec<&str>> = match names.iter().find_map(|name| present(members, name)) {
        // RFC 6749 section 3.3 knows one separator: a space.
        Some(Value::String(text)) => Some(text.split(' ').collect()),
        Some(Value::Array(values)) => values.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let candidates = candidates.unwrap_or_default().into_iter();
    candidates.filter(|scope| !scope.is_empty()).map(Into::into).collect()
}

/// RFC 7519 section 4.1.3: one string or an array of them.
fn audiences(members: &Members) -> Result<Vec<Box<str>>, TokenError> {
    let malformed = || TokenError::MalformedClaim("aud".into());
    let values = match present(members, "aud").ok_or(TokenError::MissingClaim("aud"))? {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    if values.is_empty() || values.len() > MAX_AUDIENCES {
        return Err(malformed());
    }
    values.iter().map(|value| as_identifier(value).ok_or_else(malformed)).collect()
}

fn identifier(members: &Members, name: &str) -> Result<Option<Box<str>>, TokenError> {
    read(members, name, as_identifier)
}

/// RFC 7519 section 2, `NumericDate`: seconds, whose fraction is dropped. Integers of this size
/// are exact in an `f64`.
fn date(members: &Members, name: &str) -> Result<Option<u64>, TokenError> {
    /// The first second of the year 10000: sums with earlier ones cannot overflow.
    const TOO_LATE: f64 = 253_402_300_800.0;
    read(members, name, |value| {
        let seconds = value.as_f64().filter(|seconds| (0.0..TOO_LATE).contains(seconds))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Some(seconds as u64)
    })
}

fn object<'a>(members: &'a Members, name: &str) -> Result<Option<&'a Members>, TokenError> {
    read(members, name, Value::as_object)
}

/// A string that can name something: not empty, not long, and with no control character that
/// could forge a line or a terminal sequence wherever it is shown.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    (1..=MAX_IDENTIFIER_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

fn as_identifier(value: &Value) -> Option<Box<str>> {
    value.as_str().filter(|text| is_identifier(text)).map(Into::into)
}

fn required<T>(name: &'static str, claim: Result<Option<T>, TokenError>) -> Result<T, TokenError> {
    claim?.ok_or(TokenError::MissingClaim(name))
}

/// The claim `name`, where it is present and has some meaning for `convert`.
fn read<'a, T>(
    members: &'a Members,
    name: &str,
    convert: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, TokenError> {
    let malformed = || TokenError::MalformedClaim(name.to_owned().into());
    present(members, name).map(|value| convert(value).ok_or_else(malformed)).transpose()
}

/// The claim `name`. One that is `null` says nothing, as if it were absent.
fn present<'a>(members: &'a Members, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}
