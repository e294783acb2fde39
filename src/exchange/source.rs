//! How tokens are exchanged, as it is written: the raw side of [`Settings`](super::Settings).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Duration;

/// Where and how a caller's token is exchanged for a delegation token. What is not written is as the
/// preset has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Exchange {
    /// What the authorization server needs and returns; by default `generic`, RFC 8693 to the
    /// letter.
    pub preset: Option<Preset>,
    /// The Envoy cluster of the authorization server.
    pub cluster: Option<String>,
    /// The `:authority` of the token request.
    pub authority: Option<String>,
    /// The path of the token endpoint; by default `/token`.
    pub path: Option<String>,
    /// How long to wait for an answer, attempts included; by default `2s`.
    pub timeout: Option<Duration>,
    /// How often to ask again when there is no answer and time is left; by default once.
    pub retries: Option<u32>,
    /// What is different for the authorization server that is asked when this one does not answer or
    /// is overloaded.
    pub failover: Option<Box<Exchange>>,
    /// The issuer of the delegation tokens, one of `issuers`: its keys check them.
    pub issuer: Option<String>,
    /// This gateway's name at the authorization server: what the delegation token must name as the
    /// actor.
    pub actor: Option<String>,
    /// The grant; by default `token_exchange`.
    pub grant: Option<Grant>,
    /// This gateway's `client_id`; by default the `actor`. It is sent where the client authenticates
    /// in the form.
    pub client_id: Option<String>,
    /// How this gateway authenticates; by default `injected`. Secrets never stand here.
    pub client_authentication: Option<ClientAuthentication>,
    /// What the caller's token is called; by default `access_token`.
    pub subject_token_type: Option<TokenType>,
    /// What is asked for; by default `access_token`.
    pub requested_token_type: Option<RequestedTokenType>,
    /// The token that says who acts; by default `none`: the client itself.
    pub actor_token: Option<ActorToken>,
    /// What that token is called; by default as the caller's where it is that one, else
    /// `access_token`.
    pub actor_token_type: Option<TokenType>,
    /// The parameter that names the downstream service; by default `audience`.
    pub target: Option<TargetParameter>,
    /// The parameter `scope`, with `{scope}`, `{audience}`, `{actor}` and `{client_id}` for what the
    /// rule and this section say; by default `{scope}`.
    pub scope: Option<String>,
    /// More parameters, as they are.
    pub parameters: Option<BTreeMap<String, String>>,
    /// How the delegation token is verified; by default `signature`.
    pub verify: Option<Verify>,
    /// Whether the reply must say which type of token it holds; by default `required`.
    pub issued_token_type: Option<IssuedTokenType>,
    /// The values of `typ` that a delegation token may have; an empty string stands for none.
    pub token_types: Option<Vec<String>>,
    /// What its `aud` must be, and nothing else, with placeholders as in `scope`; by default
    /// `{audience}`.
    pub token_audience: Option<String>,
    /// Which claim of it names the user; by default `sub`.
    pub subject_claim: Option<String>,
    /// Which claim of the caller's token it must equal; by default `sub`.
    pub inbound_subject_claim: Option<String>,
    /// Which claim names this gateway; by default `act.sub`.
    pub actor_claim: Option<ActorClaim>,
    /// Which claim holds its scopes; by default `scope`.
    pub scope_claim: Option<ScopeClaim>,
    /// Scopes that it may have besides the one that was asked for, with placeholders as in `scope`.
    pub ignored_scopes: Option<Vec<String>>,
    /// What of a token that lives longer than the rule allows, or than the caller's; by default
    /// `refuse`.
    pub longer_lifetime: Option<LongerLifetime>,
    /// What error codes of the server's own mean. Those of RFC 6749 and RFC 8693 are known; one that
    /// is not means a reply that nobody understands: 502.
    pub error_codes: Option<BTreeMap<String, ErrorMeaning>>,
    /// Whether a caller's token that already is what the exchange would give goes up as it is: same
    /// issuer, audience, actor and scope, and no longer life.
    pub danger_forward_inbound_token: Option<bool>,
    /// What is different for delegations to these audiences.
    pub targets: BTreeMap<String, Exchange>,
}

/// What an authorization server needs and returns (`docs/authorization-servers.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// RFC 8693 to the letter, with `act`.
    Generic,
    /// Keycloak 26.2 and later, standard token exchange.
    Keycloak,
    /// Keycloak with the experimental features for delegation.
    KeycloakDelegation,
    /// Okta, a custom authorization server.
    Okta,
    /// Auth0, on-behalf-of token exchange.
    Auth0,
    /// Microsoft Entra ID, on-behalf-of flow.
    Entra,
    /// Ping Identity.
    Ping,
    /// ZITADEL.
    Zitadel,
    /// WSO2 Identity Server.
    Wso2,
    /// authentik.
    Authentik,
    /// Rauthy.
    Rauthy,
}

/// The grant of the token request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// RFC 8693.
    #[default]
    TokenExchange,
    /// RFC 7523 with `requested_token_use=on_behalf_of`, as Entra has it.
    JwtBearerOnBehalfOf,
}

/// How this gateway authenticates at the token endpoint (RFC 6749 section 2.3, RFC 8705, RFC 7523).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// Envoy adds the credentials to the request.
    #[default]
    Injected,
    /// By the cluster's client certificate; `client_id` stands in the form.
    Mtls,
    /// A secret in the form.
    ClientSecretPost(Secret),
    /// A secret in the header `Authorization`.
    ClientSecretBasic(Secret),
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt(PrivateKey),
    /// Not at all: a public client. `client_id` stands in the form.
    None,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The variable of Envoy's environment that holds it.
    pub from_environment: String,
}

/// Where a private key is, and what it signs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PrivateKey {
    /// The variable of Envoy's environment that holds it: a private JWK of the type EC (P-256) or
    /// OKP (Ed25519), whose `alg` may be `Ed25519`; or a private RSA key of at least 2048 bits in PEM,
    /// with which Envoy signs (1.37 and later).
    pub from_environment: String,
    /// The `kid` of the assertion; by default that of the JWK.
    pub key_id: Option<String>,
    /// The assertion's `aud`: the authorization server's issuer, or its token endpoint.
    pub audience: String,
}

/// RFC 8693 section 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum TokenType {
    #[default]
    AccessToken,
    IdToken,
    Jwt,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestedTokenType {
    /// `urn:ietf:params:oauth:token-type:access_token`.
    #[default]
    AccessToken,
    /// `urn:ietf:params:oauth:token-type:jwt`.
    Jwt,
    /// Nothing is said.
    Omitted,
}

/// The token that says who acts (RFC 8693 section 2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActorToken {
    /// None: the client that authenticates acts.
    #[default]
    None,
    /// The caller's own token once more.
    SubjectToken,
    /// This gateway's own token, by the client credentials grant; fetched and renewed.
    ClientCredentials(ClientCredentials),
    /// A token from a variable of Envoy's environment.
    FromEnvironment(String),
}

/// What this gateway's own token is asked for with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ClientCredentials {
    /// Its `scope`.
    pub scope: Option<String>,
    /// Its `audience`.
    pub audience: Option<String>,
}

/// The parameter that names the downstream service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetParameter {
    /// `audience`.
    #[default]
    Audience,
    /// `resource`: an absolute URI without fragment (RFC 8707).
    Resource,
    /// Both.
    Both,
    /// Neither: the scope says it, or the client.
    None,
}

impl TargetParameter {
    /// Whether the service is named by `resource`.
    pub(super) const fn is_resource(self) -> bool {
        matches!(self, Self::Resource | Self::Both)
    }
}

/// How a delegation token is verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// By its signature, then its claims.
    #[default]
    Signature,
    /// By its claims alone: TLS is all that speaks for them.
    DangerClaimsAlone,
    /// Not at all: it is opaque, and only what the reply says of it can be checked.
    DangerOpaque,
}

/// Whether the reply must say which type of token it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IssuedTokenType {
    /// It must, and it must be what was asked for.
    #[default]
    Required,
    /// If it does, it must be what was asked for.
    Optional,
}

/// Which claim of a delegation token names this gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub enum ActorClaim {
    /// `act.sub`, the outermost.
    #[default]
    #[serde(rename = "act.sub")]
    ActSub,
    /// `act.client_id`, the outermost.
    #[serde(rename = "act.client_id")]
    ActClientId,
    /// `azp`.
    #[serde(rename = "azp")]
    Azp,
    /// `cid`.
    #[serde(rename = "cid")]
    Cid,
    /// `appid`.
    #[serde(rename = "appid")]
    AppId,
    /// `client_id`.
    #[serde(rename = "client_id")]
    ClientId,
    /// None: nothing in the token says who acts.
    #[serde(rename = "danger_none")]
    None,
}

impl ActorClaim {
    /// Its name, with a dot before a member's; none if there is no such claim.
    #[must_use]
    pub fn path(self) -> Option<&'static str> {
        Some(match self {
            Self::ActSub => "act.sub",
            Self::ActClientId => "act.client_id",
            Self::Azp => "azp",
            Self::Cid => "cid",
            Self::AppId => "appid",
            Self::ClientId => "client_id",
            Self::None => return None,
        })
    }
}

/// Where the scopes of a delegation token stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScopeClaim {
    /// In its claim `scope`.
    #[default]
    Scope,
    /// In its claim `scp`.
    Scp,
    /// In the reply alone. One that says nothing grants what was asked for (RFC 8693 section 2.2.1).
    Reply,
}

/// What of a token that lives longer than the rule allows, or than the caller's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LongerLifetime {
    /// It is refused.
    #[default]
    Refuse,
    /// It is used, for no longer than that. Whoever gets hold of it can use it longer.
    DangerAccept,
}

/// What the authorization server means by an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorMeaning {
    /// The caller must sign in again, as with `invalid_grant`.
    SubjectRejected,
    /// It does not delegate this to this caller, as with `access_denied`.
    Denied,
    /// It does not accept this gateway, as with `invalid_client`: an operator must look.
    ClientRejected,
    /// It is overloaded or broken, as with `temporarily_unavailable`.
    Unavailable,
}

/// How long an exchange may take, unless it is said.
pub(super) const TIMEOUT: Duration = Duration::seconds(2);

impl Exchange {
    /// The longest that an exchange may take, with the server that is asked in its stead.
    #[must_use]
    pub fn longest_timeout(&self) -> Duration {
        let time = |one: &Self| {
            let failover = one.failover_resolved().map(|other| other.timeout.unwrap_or(TIMEOUT));
            one.timeout.unwrap_or(TIMEOUT).and(failover.unwrap_or(Duration::seconds(0)))
        };
        self.resolved().iter().map(|(_, one)| time(one)).max().unwrap_or(TIMEOUT)
    }

    /// The whole of what holds for all, and of what holds for each audience that is named: with what
    /// the presets say.
    #[must_use]
    pub fn resolved(&self) -> Vec<(Option<&str>, Self)> {
        let all = self.with_preset();
        let of_target = |target: &Self| {
            // A preset of its own comes before what is written for all.
            let whole = target.with_preset().or(&all);
            // Who stands in for one server does not stand in for another.
            let failover =
                if whole.is_elsewhere(&all) { &target.failover } else { &whole.failover };
            Self { failover: failover.clone(), ..whole }
        };
        let targets = self.targets.iter();
        let targets = targets.map(|(audience, target)| (Some(&**audience), of_target(target)));
        [(None, all.clone())].into_iter().chain(targets).collect()
    }

    /// This, with what its preset says.
    #[must_use]
    pub fn with_preset(&self) -> Self {
        self.or(&self.preset.map(Preset::settings).unwrap_or_default())
    }

    /// Whether another authorization server is asked than by `other`. One that goes by the same
    /// `:authority` has several issuers, or is reached by several clusters, but not both.
    #[must_use]
    pub fn is_elsewhere(&self, other: &Self) -> bool {
        self.authority != other.authority
            || self.cluster != other.cluster && self.issuer != other.issuer
    }

    /// How the gateway authenticates, once this is resolved.
    #[must_use]
    pub fn authentication(&self) -> ClientAuthentication {
        self.client_authentication.clone().unwrap_or_default()
    }

    /// What holds for the server that is asked when this one, which is resolved, is down.
    #[must_use]
    pub fn failover_resolved(&self) -> Option<Self> {
        let failover = self.failover.as_ref()?;
        let base = Self { failover: None, ..self.clone() };
        Some(Self { targets: failover.targets.clone(), ..failover.with_preset().or(&base) })
    }

    /// The variables of Envoy's environment that it names.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        let authentication = match &self.client_authentication {
            Some(
                ClientAuthentication::ClientSecretPost(secret)
                | ClientAuthentication::ClientSecretBasic(secret),
            ) => Some(secret.from_environment.as_str()),
            Some(ClientAuthentication::PrivateKeyJwt(key)) => Some(key.from_environment.as_str()),
            _ => None,
        };
        let actor = match &self.actor_token {
            Some(ActorToken::FromEnvironment(name)) => Some(name.as_str()),
            _ => None,
        };
        let own = authentication.into_iter().chain(actor);
        let others = self.targets.values().chain(self.failover.as_deref());
        own.chain(others.flat_map(Self::variables)).collect()
    }

    /// This, and where it says nothing, what `other` says. Targets are not taken over.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        macro_rules! merged {
            ($($field:ident),*) => {
                Self {
                    $($field: self.$field.clone().or_else(|| other.$field.clone()),)*
                    failover: self.failover.clone().or_else(|| other.failover.clone()),
                    targets: BTreeMap::new(),
                }
            };
        }
        merged!(
            preset,
            cluster,
            authority,
            path,
            timeout,
            retries,
            issuer,
            actor,
            grant,
            client_id,
            client_authentication,
            subject_token_type,
            requested_token_type,
            actor_token,
            actor_token_type,
            target,
            scope,
            parameters,
            verify,
            issued_token_type,
            token_types,
            token_audience,
            subject_claim,
            inbound_subject_claim,
            actor_claim,
            scope_claim,
            ignored_scopes,
            longer_lifetime,
            error_codes,
            danger_forward_inbound_token
        )
    }
}
