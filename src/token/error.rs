//! Why a token is refused.

use std::{borrow::Cow, error::Error, fmt};

/// Why a token is refused: for the audit record, never for the client.
///
/// The texts name claims and header members, and contain nothing of the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The token is longer than 8 KiB.
    TooLong,
    /// It is not three parts of unpadded base64url, separated by dots (RFC 7515 section 7.1).
    NotCompact,
    /// The header is not a JSON object, or has a member name twice.
    MalformedHeader,
    /// This header member has a value it may not have.
    MalformedHeaderMember(&'static str),
    /// This header member asks for something that is not supported, and so may not be there.
    ForbiddenHeaderMember(&'static str),
    /// `alg` is absent or none of the supported ones.
    UnsupportedAlgorithm,
    /// The payload is not a JSON object, or has a member name twice.
    MalformedClaims,
    /// This claim has a value it may not have.
    MalformedClaim(Cow<'static, str>),
    /// This claim is required and absent.
    MissingClaim(&'static str),
    /// `iss` is not the expected issuer.
    WrongIssuer,
    /// `alg` is not one that this issuer may use.
    AlgorithmNotAllowed,
    /// `typ`, or a claim that marks it, says that this is some other kind of token.
    WrongType,
    /// `aud` does not name an expected audience, or names others where it may not.
    WrongAudience,
    /// `exp` has passed.
    Expired,
    /// `nbf` is in the future.
    NotYetValid,
    /// `iat` is in the future.
    IssuedInFuture,
    /// `iat` is after `exp`.
    IssuedAfterExpiry,
    /// From `iat` to `exp` is longer than allowed.
    LifetimeTooLong,
    /// `cnf` binds the token to a key whose proof is not supported.
    SenderConstrained,
    /// The issuer has no usable key with this `kid` for this `alg`.
    UnknownKey,
    /// The signature is not that of the key over this token.
    BadSignature,
    /// The configuration revokes it, or what it is issued for.
    Revoked,
}

impl TokenError {
    /// The reason as a constant word for the audit record.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotCompact => "not_compact",
            Self::MalformedHeader | Self::MalformedHeaderMember(_) => "malformed_header",
            Self::ForbiddenHeaderMember(_) => "forbidden_header",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::MalformedClaims | Self::MalformedClaim(_) => "malformed_claims",
            Self::MissingClaim(_) => "missing_claim",
            Self::WrongIssuer => "wrong_issuer",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::WrongType => "wrong_type",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::IssuedAfterExpiry => "issued_after_expiry",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::SenderConstrained => "sender_constrained",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::MalformedHeaderMember(name) => {
                return write!(formatter, "header member `{name}` is malformed");
            }
            Self::ForbiddenHeaderMember(name) => {
                return write!(formatter, "header member `{name}` is not supported");
            }
            Self::MalformedClaim(name) => return write!(formatter, "claim `{name}` is malformed"),
            Self::MissingClaim(name) => return write!(formatter, "claim `{name}` is missing"),
            Self::TooLong => "the token is too long",
            Self::NotCompact => "the token is not a compact JWS",
            Self::MalformedHeader => "the header is not an object with distinct members",
            Self::UnsupportedAlgorithm => "`alg` is not supported",
            Self::MalformedClaims => "the payload is not an object with distinct members",
            Self::WrongIssuer => "`iss` is not the expected issuer",
            Self::AlgorithmNotAllowed => "`alg` is not allowed for this issuer",
            Self::WrongType => "the token is not of an accepted type",
            Self::WrongAudience => "`aud` is not the expected audience",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedInFuture => "`iat` is in the future",
            Self::IssuedAfterExpiry => "`iat` is after `exp`",
            Self::LifetimeTooLong => "the token is valid for longer than allowed",
            Self::SenderConstrained => "the token is bound to a key by `cnf`",
            Self::UnknownKey => "the issuer has no such key",
            Self::BadSignature => "the signature does not match",
            Self::Revoked => "the token, or what it is issued for, is revoked",
        };
        formatter.write_str(text)
    }
}

impl Error for TokenError {}
