//! Where and how to exchange, compiled: one profile for each audience that has its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::client::{Client, Signer};
use super::source::{
    ActorClaim, ActorToken, ClientAuthentication, ClientCredentials, ErrorMeaning, Exchange, Grant,
    IssuedTokenType, LongerLifetime, Preset, RequestedTokenType, ScopeClaim, TIMEOUT,
    TargetParameter, TokenType, Verify,
};
use super::{Target, template::Template};
use crate::config::{
    Duration, Environment, Problems, boxed, check_target, is_authority, is_name, plain_secret,
    split_scheme,
};
use crate::policy::Policy;
use crate::token::{BearerToken, Caller, Expectations, Issuer, Revoked, TrustedIssuer};

/// Where and how to exchange, by audience.
#[derive(Debug)]
pub struct Settings {
    profiles: Vec<Profile>,
    /// The place of the profile of an audience that has its own; the others have the first one.
    by_audience: HashMap<Box<str>, usize>,
}

/// How to ask one authorization server, and what its answer must be.
#[derive(Debug)]
pub struct Profile {
    pub(super) cluster: Box<str>,
    pub(super) authority: Box<str>,
    pub(super) path: Box<str>,
    pub(super) timeout: Duration,
    /// The shortest lifetime, in seconds, that its tokens can have, if that is long.
    shortest_lifetime: Option<u64>,
    pub(super) grant: Grant,
    pub(super) client: Client,
    pub(super) subject_token_type: TokenType,
    pub(super) requested_token_type: RequestedTokenType,
    pub(super) actor_token: Actor,
    pub(super) actor_token_type: TokenType,
    pub(super) target: TargetParameter,
    pub(super) scope: Template,
    pub(super) parameters: Vec<(Box<str>, Box<str>)>,
    /// Who issues the delegation token.
    pub issuer: Rc<Issuer>,
    /// Whether that one's keys are fetched, so that those which are not known yet may be soon.
    pub(super) fetches_keys: bool,
    /// What the delegation token must name as the actor.
    pub actor: Box<str>,
    pub(super) verify: Verify,
    pub(super) issued_token_type: IssuedTokenType,
    /// Which claim of it names the user.
    pub subject_claim: Box<str>,
    /// Which claim of the caller's token it must equal.
    pub inbound_subject_claim: Box<str>,
    /// Which claim names the actor.
    pub actor_claim: ActorClaim,
    pub(super) scope_claim: ScopeClaim,
    pub(super) longer_lifetime: LongerLifetime,
    pub(super) error_codes: BTreeMap<String, ErrorMeaning>,
    pub(super) forwards_inbound_token: bool,
    /// How often one server is asked again that does not answer.
    pub(super) retries: u32,
    /// The place of the profile of the server that is asked when this one is down.
    pub(super) failover: Option<usize>,
    token_types: Vec<Box<str>>,
    token_audience: Template,
    ignored_scopes: Vec<Template>,
    leeway: u64,
}

/// The token that says who acts.
#[derive(Debug)]
pub(super) enum Actor {
    None,
    SubjectToken,
    Own(ClientCredentials),
    Given(BearerToken),
    /// It is not known here: nothing is ever sent.
    Unknown,
}

/// Parameters that are this gateway's to set.
const RESERVED: [&str; 17] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "actor_token_type",
    "audience",
    "resource",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "requested_token_use",
    "authorization_details",
    "refresh_token",
];

impl Settings {
    /// Compiles what is written; what is wrong goes to `problems`. `environment` gives the secrets
    /// that it names; without it, their names alone are checked.
    pub fn compile(
        source: &Exchange,
        issuers: &[TrustedIssuer],
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let around = Surroundings { issuers, environment };
        let mut by_audience = HashMap::new();
        let mut profiles = Vec::new();
        let resolved = source.resolved();
        let all = resolved.first().map(|(_, all)| all);
        for (audience, whole) in &resolved {
            let path = match audience {
                None => "exchange".to_owned(),
                Some(audience) => {
                    by_audience.insert((*audience).into(), profiles.len());
                    let path = format!("exchange.targets.{audience}");
                    let own = source.targets.get(*audience);
                    check_credentials(own, whole, all, &path, problems);
                    path
                }
            };
            let mut one = profile(whole, &path, &around, problems);
            if let Some(other) = whole.failover_resolved() {
                let path = format!("{path}.failover");
                check_credentials(whole.failover.as_deref(), &other, Some(whole), &path, problems);
                if !other.targets.is_empty() || other.failover.is_some() {
                    problems.add(&path, "has neither targets nor another failover");
                }
                let at = profiles.len().saturating_add(1);
                one = one.map(|one| Profile { failover: Some(at), ..one });
                profiles.push(one);
                profiles.push(profile(&other, &path, &around, problems));
            } else {
                profiles.push(one);
            }
        }
        for (audience, target) in &source.targets {
            if !target.targets.is_empty() {
                let path = format!("exchange.targets.{audience}.targets");
                problems.add_with_help(path, "not possible here", "write all of them side by side");
            }
        }
        let profiles: Option<Vec<_>> = profiles.into_iter().collect();
        Some(Self { profiles: profiles?, by_audience })
    }

    /// The profile for a target, and its place.
    #[must_use]
    pub fn profile(&self, target: &Target) -> Option<(usize, &Profile)> {
        let place = self.by_audience.get(&target.audience).copied().unwrap_or(0);
        Some((place, self.profiles.get(place)?))
    }

    /// The profile at a place.
    pub(super) fn at(&self, place: usize) -> Option<&Profile> {
        self.profiles.get(place)
    }

    /// The profiles that need a token of this gateway's own, by their places.
    pub(super) fn with_own_token(&self) -> impl Iterator<Item = usize> {
        let own = |profile: &Profile| matches!(profile.actor_token, Actor::Own(_));
        self.profiles.iter().enumerate().filter(move |(_, profile)| own(profile)).map(|(at, _)| at)
    }

    /// An issuer has other keys now.
    pub(crate) fn replace_issuer(&mut self, issuer: &Rc<Issuer>) {
        for profile in &mut self.profiles {
            if profile.issuer.issuer == issuer.issuer {
                profile.issuer = Rc::clone(issuer);
            }
        }
    }

    /// The names of the claims of inbound tokens that are compared.
    #[must_use]
    pub fn inbound_claims(&self) -> BTreeSet<&str> {
        self.profiles.iter().map(|profile| &*profile.inbound_subject_claim).collect()
    }

    /// Checks what the rules of a policy delegate against what their authorization servers can do.
    pub fn check(&self, policy: &Policy, problems: &mut Problems) {
        let is_lenient = |profile: &Profile| {
            profile.shortest_lifetime.is_none() && !profile.target.is_resource()
        };
        if self.profiles.iter().all(is_lenient) {
            return;
        }
        for rule in policy.all_rules() {
            let Some(target) = &rule.target else { continue };
            let Some((_, profile)) = self.profile(target) else { continue };
            if profile.target.is_resource() && !is_absolute_uri(&target.audience) {
                problems.add_with_help(
                    format!("policies.{}.delegation", rule.name),
                    format!("audience `{}` is no `resource` (RFC 8707)", target.audience),
                    "write an absolute URI without a fragment, or `exchange.target: audience`",
                );
            }
            if profile.longer_lifetime == LongerLifetime::Refuse
                && let Some(shortest) = profile.shortest_lifetime
                && shortest > target.max_lifetime
            {
                let preset = "this preset's authorization server";
                problems.add_with_help(
                    format!("policies.{}.delegation", rule.name),
                    format!("{preset} gives no token that lives `{}s`", target.max_lifetime),
                    format!("write `lifetime: {}m`, here or in the policy", shortest / 60),
                );
            }
        }
    }

    /// Whether `signer` can sign where this gateway authenticates by RSA.
    #[must_use]
    pub fn can_sign(&self, signer: &dyn Signer) -> bool {
        self.profiles.iter().all(|profile| profile.client.can_sign(signer))
    }
}

/// RFC 3986 section 4.3, as RFC 8707 section 2 asks for it.
fn is_absolute_uri(text: &str) -> bool {
    let is_uri = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c);
    split_scheme(text).is_some_and(|(_, rest)| rest.chars().all(is_uri))
}

impl Profile {
    /// What a delegation token for `target` must be.
    #[must_use]
    pub fn expectations(&self, target: &Target) -> Expectations {
        let claims =
            [Some(&*self.subject_claim), self.actor_claim.path(), Some("authorization_details")];
        Expectations {
            audiences: vec![self.fill(&self.token_audience, target).into()],
            endpoints: Vec::new(),
            exact_audience: true,
            token_types: self.token_types.clone(),
            scope_claims: match self.scope_claim {
                ScopeClaim::Scope => vec!["scope".into()],
                ScopeClaim::Scp => vec!["scp".into()],
                ScopeClaim::Reply => Vec::new(),
            },
            client_claims: vec!["client_id".into()],
            client_required: false,
            kept_claims: claims.into_iter().flatten().map(Into::into).collect(),
            max_lifetime: match self.longer_lifetime {
                LongerLifetime::Refuse => target.max_lifetime,
                LongerLifetime::DangerAccept => u64::MAX,
            },
            leeway: self.leeway,
            revoked: Revoked::default(),
        }
    }

    /// Whether the caller's token lets this gateway act.
    pub(super) fn may_act_for(&self, caller: &Caller) -> bool {
        // Where actors go by their `client_id`, their `sub` is the server's own affair.
        let (subject, client) = match self.actor_claim {
            ActorClaim::ActClientId => (None, &self.actor),
            _ => (Some(&*self.actor), &self.client.id),
        };
        caller.may_be_acted_for_by(subject, client, &self.issuer.issuer)
    }

    /// The parameter `scope` for `target`.
    #[must_use]
    pub fn scope(&self, target: &Target) -> String {
        self.fill(&self.scope, target)
    }

    /// Whether a delegation token for `target` may have the scope `granted` beside the one that was
    /// asked for.
    pub(super) fn ignores(&self, granted: &str, target: &Target) -> bool {
        self.ignored_scopes.iter().any(|ignored| self.fill(ignored, target) == granted)
    }

    fn fill(&self, template: &Template, target: &Target) -> String {
        template.fill(&target.scope, &target.audience, &self.actor, &self.client.id)
    }
}

/// A credential goes to no server that it was not written for: where `whole`, of which `own` is what is
/// written for it alone, asks another than `around`, it takes none over from there.
fn check_credentials(
    own: Option<&Exchange>,
    whole: &Exchange,
    around: Option<&Exchange>,
    path: &str,
    problems: &mut Problems,
) {
    let (Some(own), Some(around)) = (own, around) else { return };
    if !whole.is_elsewhere(around) {
        return;
    }
    // With these, the filter sends none, and Envoy adds none.
    let is_bare = matches!(
        whole.client_authentication,
        Some(ClientAuthentication::Mtls | ClientAuthentication::None)
    );
    let own = own.with_preset();
    let is_given = matches!(whole.actor_token, Some(ActorToken::FromEnvironment(_)));
    for (name, is_taken_over) in [
        ("client_authentication", own.client_authentication.is_none() && !is_bare),
        ("actor_token", own.actor_token.is_none() && is_given),
    ] {
        if is_taken_over {
            let help = "none is sent to a server that it was not written for: write that server's \
                        own here, or if it is the same server, leave out `authority` and `issuer`";
            problems.add_with_help(path, format!("missing field `{name}`"), help);
        }
    }
}

/// What a profile is compiled against.
struct Surroundings<'a> {
    issuers: &'a [TrustedIssuer],
    environment: Option<Environment<'a>>,
}

fn profile(
    source: &Exchange,
    path: &str,
    around: &Surroundings,
    problems: &mut Problems,
) -> Option<Profile> {
    let required = |name: &str, value: &Option<String>, problems: &mut Problems| {
        let Some(text) = value else {
            problems.add(path, format!("missing field `{name}`"));
            return None;
        };
        let is_sound = if name == "authority" { is_authority } else { is_name };
        is_sound(text, format!("{path}.{name}"), problems).then(|| text.as_str().into())
    };
    let cluster: Option<Box<str>> = required("cluster", &source.cluster, problems);
    let authority: Option<Box<str>> = required("authority", &source.authority, problems);
    let actor: Option<Box<str>> = required("actor", &source.actor, problems);
    let token_path = source.path.as_deref().unwrap_or("/token");
    check_target(token_path, format!("{path}.path"), "token_endpoint", problems);
    let timeout = source.timeout.unwrap_or(TIMEOUT);
    if timeout.as_std().is_zero() {
        problems.add(format!("{path}.timeout"), "no exchange is answered in no time");
    }
    let issuer = issuer(source, path, around.issuers, problems);
    let template = |name: &str, text: Option<&str>, otherwise: &str, problems: &mut Problems| {
        let text = text.unwrap_or(otherwise);
        let template = Template::parse(text);
        if template.is_none() {
            let help = "placeholders are `{scope}`, `{audience}`, `{actor}` and `{client_id}`";
            problems.add_with_help(
                format!("{path}.{name}"),
                format!("`{text}` is not a template"),
                help,
            );
        }
        template
    };
    let scope = template("scope", source.scope.as_deref(), "{scope}", problems);
    let audience = source.token_audience.as_deref();
    let token_audience = template("token_audience", audience, "{audience}", problems);
    let ignored = source.ignored_scopes.as_deref().unwrap_or_default();
    let ignored_scopes: Option<Vec<_>> = ignored
        .iter()
        .enumerate()
        .map(|(index, text)| {
            template(&format!("ignored_scopes[{index}]"), Some(text), "", problems)
        })
        .collect();
    let parameters = parameters(source.parameters.as_ref(), path, problems);
    let actor_token = actor_token(source, path, around, problems);
    let names_actor = matches!(source.actor_claim, None | Some(ActorClaim::ActSub));
    if names_actor
        && matches!(actor_token, Actor::None)
        && source.preset.is_some_and(Preset::needs_actor_token)
    {
        let message = "this preset's authorization server names no actor without an actor's token";
        let help = "write `actor_token: {from_environment: DEPUTY_ACTOR_TOKEN}`, and let that \
                    variable of Envoy's environment hold the token of `actor`";
        problems.add_with_help(format!("{path}.actor_token"), message, help);
    }
    let client = Client::compile(
        &source.authentication(),
        source.client_id.as_deref().or(actor.as_deref()).unwrap_or_default(),
        &format!("{path}.client_authentication"),
        around.environment,
        problems,
    );
    let TrustedIssuer { issuer, expectations, remote_jwks } = issuer?;
    Some(Profile {
        cluster: cluster?,
        authority: authority?,
        path: token_path.into(),
        timeout,
        shortest_lifetime: source.preset.and_then(Preset::shortest_lifetime),
        grant: source.grant.unwrap_or_default(),
        client,
        subject_token_type: source.subject_token_type.unwrap_or_default(),
        requested_token_type: source.requested_token_type.unwrap_or_default(),
        actor_token_type: actor_token_type(source, &actor_token),
        actor_token,
        target: source.target.unwrap_or_default(),
        scope: scope?,
        parameters,
        issuer: Rc::clone(issuer),
        fetches_keys: remote_jwks.is_some(),
        actor: actor?,
        verify: source.verify.unwrap_or_default(),
        issued_token_type: source.issued_token_type.unwrap_or_default(),
        subject_claim: source.subject_claim.as_deref().unwrap_or("sub").into(),
        inbound_subject_claim: source.inbound_subject_claim.as_deref().unwrap_or("sub").into(),
        actor_claim: source.actor_claim.unwrap_or_default(),
        scope_claim: source.scope_claim.unwrap_or_default(),
        longer_lifetime: source.longer_lifetime.unwrap_or_default(),
        error_codes: source.error_codes.clone().unwrap_or_default(),
        forwards_inbound_token: source.danger_forward_inbound_token.unwrap_or_default(),
        retries: retries(source, path, problems),
        failover: None,
        token_types: source.token_types.as_deref().map_or_else(|| vec!["at+jwt".into()], boxed),
        token_audience: token_audience?,
        ignored_scopes: ignored_scopes?,
        leeway: expectations.leeway,
    })
}

fn retries(source: &Exchange, path: &str, problems: &mut Problems) -> u32 {
    const MOST: u32 = 5;
    let retries = source.retries.unwrap_or(1);
    if retries > MOST {
        problems.add(format!("{path}.retries"), format!("`{retries}` is more than {MOST}"));
    }
    retries
}

fn issuer<'a>(
    source: &Exchange,
    path: &str,
    issuers: &'a [TrustedIssuer],
    problems: &mut Problems,
) -> Option<&'a TrustedIssuer> {
    let Some(name) = &source.issuer else {
        problems.add(path, "missing field `issuer`");
        return None;
    };
    let issuer = issuers.iter().find(|trusted| *trusted.issuer.issuer == **name);
    if issuer.is_none() {
        let names = issuers.iter().map(|trusted| &*trusted.issuer.issuer);
        let message = format!("unknown issuer `{name}`");
        problems.add_unknown(format!("{path}.issuer"), message, name, names);
    }
    issuer
}

fn parameters(
    source: Option<&BTreeMap<String, String>>,
    path: &str,
    problems: &mut Problems,
) -> Vec<(Box<str>, Box<str>)> {
    let mut parameters = Vec::new();
    for (name, value) in source.into_iter().flatten() {
        if RESERVED.contains(&name.as_str()) {
            let help = "what it says follows from the other settings and the rule";
            let message = format!("`{name}` is not yours to set");
            problems.add_with_help(format!("{path}.parameters.{name}"), message, help);
        }
        parameters.push((name.as_str().into(), value.as_str().into()));
    }
    parameters
}

fn actor_token(
    source: &Exchange,
    path: &str,
    around: &Surroundings,
    problems: &mut Problems,
) -> Actor {
    match source.actor_token.clone().unwrap_or_default() {
        ActorToken::None => Actor::None,
        ActorToken::SubjectToken => Actor::SubjectToken,
        ActorToken::ClientCredentials(credentials) => Actor::Own(credentials),
        ActorToken::FromEnvironment(name) => {
            let path = format!("{path}.actor_token.from_environment");
            let token =
                plain_secret(&name, "DEPUTY_ACTOR_TOKEN", &path, around.environment, problems);
            token.map_or(Actor::Unknown, |token| Actor::Given(BearerToken::new(&token)))
        }
    }
}

/// What the actor's token is (RFC 8693 section 2.1): what is written, else what is known of it.
fn actor_token_type(source: &Exchange, actor_token: &Actor) -> TokenType {
    source.actor_token_type.unwrap_or_else(|| match actor_token {
        Actor::SubjectToken => source.subject_token_type.unwrap_or_default(),
        _ => TokenType::AccessToken,
    })
}
