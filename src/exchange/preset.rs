//! What the authorization servers that people have need and return, as far as it differs from
//! RFC 8693 to the letter. `docs/authorization-servers.md` has a page on each.

use super::source::{
    ActorClaim, ActorToken, ClientCredentials, Exchange, Grant, IssuedTokenType, Preset,
    RequestedTokenType, ScopeClaim, TargetParameter, TokenType,
};

/// `typ` of those that do not follow RFC 9068.
fn any_jwt() -> Vec<String> {
    ["at+jwt", "JWT"].map(str::to_owned).to_vec()
}

fn own_token() -> ActorToken {
    ActorToken::ClientCredentials(ClientCredentials::default())
}

impl Preset {
    /// What the preset says.
    #[must_use]
    pub fn settings(self) -> Exchange {
        let none = Exchange::default();
        match self {
            Self::Generic => none,
            Self::Keycloak => Exchange {
                path: Some("/realms/master/protocol/openid-connect/token".to_owned()),
                token_types: Some(any_jwt()),
                actor_claim: Some(ActorClaim::Azp),
                // The default client scopes of a new realm.
                ignored_scopes: Some(["profile", "email"].map(str::to_owned).to_vec()),
                ..none
            },
            Self::KeycloakDelegation => Exchange {
                actor_token: Some(own_token()),
                // `act.sub` is the id of the client's service account.
                actor_claim: Some(ActorClaim::ActClientId),
                ..Self::Keycloak.settings()
            },
            Self::Okta => Exchange {
                path: Some("/oauth2/default/v1/token".to_owned()),
                // Its access tokens have no `typ`.
                token_types: Some(any_jwt().into_iter().chain([String::new()]).collect()),
                actor_claim: Some(ActorClaim::Cid),
                scope_claim: Some(ScopeClaim::Scp),
                ..none
            },
            Self::Auth0 => Exchange {
                path: Some("/oauth/token".to_owned()),
                token_types: Some(any_jwt()),
                ..none
            },
            Self::Entra => Exchange {
                grant: Some(Grant::JwtBearerOnBehalfOf),
                requested_token_type: Some(RequestedTokenType::Omitted),
                target: Some(TargetParameter::None),
                scope: Some("{audience}/{scope}".to_owned()),
                issued_token_type: Some(IssuedTokenType::Optional),
                token_types: Some(any_jwt()),
                subject_claim: Some("oid".to_owned()),
                inbound_subject_claim: Some("oid".to_owned()),
                actor_claim: Some(ActorClaim::Azp),
                scope_claim: Some(ScopeClaim::Scp),
                ..none
            },
            Self::Ping => Exchange {
                path: Some("/as/token.oauth2".to_owned()),
                token_types: Some(any_jwt()),
                actor_token: Some(own_token()),
                ..none
            },
            Self::Zitadel => Exchange {
                path: Some("/oauth/v2/token".to_owned()),
                requested_token_type: Some(RequestedTokenType::Jwt),
                token_types: Some(any_jwt()),
                scope_claim: Some(ScopeClaim::Reply),
                ..none
            },
            Self::Wso2 => Exchange {
                path: Some("/oauth2/token".to_owned()),
                subject_token_type: Some(TokenType::Jwt),
                requested_token_type: Some(RequestedTokenType::Jwt),
                token_types: Some(any_jwt()),
                token_audience: Some("{client_id}".to_owned()),
                // `act` takes the token of a user who acts, which no client has by itself.
                actor_claim: Some(ActorClaim::ClientId),
                ..none
            },
            Self::Authentik => Exchange {
                path: Some("/application/o/token/".to_owned()),
                token_types: Some(any_jwt()),
                ..none
            },
            Self::Rauthy => Exchange {
                path: Some("/auth/v1/oidc/token".to_owned()),
                token_types: Some(any_jwt()),
                actor_token: Some(own_token()),
                ..none
            },
        }
    }

    /// Whether the server names no actor unless it is given the token of one, and that token is none
    /// which a client gets for itself.
    #[must_use]
    pub fn needs_actor_token(self) -> bool {
        matches!(self, Self::Zitadel | Self::Authentik)
    }

    /// The shortest lifetime, in seconds, that the server can be made to give its tokens, if that
    /// is long.
    #[must_use]
    pub fn shortest_lifetime(self) -> Option<u64> {
        match self {
            Self::Okta => Some(300),
            Self::Entra => Some(600),
            _ => None,
        }
    }
}
