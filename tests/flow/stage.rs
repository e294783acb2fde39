//! The fixture: a configuration, an authorization server's keys, and a hand that plays the host.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_compact::{Algorithm, AlgorithmSignature, alg::Ed25519, jwk::JsonWebKey};
use mcp_deputy::answer::LocalReply;
use mcp_deputy::clock::Now;
use mcp_deputy::config::Config;
use mcp_deputy::exchange::client::Signer;
use mcp_deputy::exchange::reply::{CalloutReply, ExchangeError};
use mcp_deputy::exchange::shared::SharedData;
use mcp_deputy::exchange::{Callout, Settled};
use mcp_deputy::host::Host;
use mcp_deputy::json;
use mcp_deputy::request::Headers;
use mcp_deputy::response::Held;
use mcp_deputy::token::PureRust;
use mcp_deputy::transaction::{Engine as Shared, Event, Step, Transaction};
use mcp_deputy::upstream::Edits;
use serde_json::{Value, json};

const KEY: &str = include_str!("../keys/ed25519.jwk");

/// The private keys of the tests, Ed25519 and P-256.
pub static KEY_SET: LazyLock<[Value; 2]> = LazyLock::new(|| {
    [KEY, include_str!("../keys/p256.jwk")].map(|key| serde_json::from_str(key).unwrap())
});

/// In the place of a private RSA key.
pub const PEM: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

pub const NOW: u64 = 1_800_000_000;
pub const RESOURCE: &str = "https://gateway.example/mcp";
pub const ISSUER: &str = "https://login.example";
pub const AUDIENCE: &str = "https://ledger.example/";
/// The token by which this gateway acts, where it has one.
pub const ACTOR_TOKEN: &str = "actor-token";
pub const SARAH: &str = "sarah.connor@orchestrator.lab";

/// A configuration in the shape of the scenario.
pub fn configuration() -> Value {
    let mut key: Value = serde_json::from_str(KEY).unwrap();
    key.as_object_mut().unwrap().remove("d");
    json!({
        "protected_resource": {
            "resource": RESOURCE,
            "authorization_servers": [ISSUER],
            "scopes_supported": ["mcp:connect", "pii:read", "audit:read"],
        },
        "issuers": [{"issuer": ISSUER, "jwks": {"keys": [key]}}],
        "endpoints": [
            {"path": "/mcp", "policy": "ledger", "required_scopes": ["mcp:connect"]},
            {"path": "/mcp/open", "policy": "open"},
        ],
        "policies": {
            "ledger": {
                "audience": AUDIENCE,
                "baseline": {"delegation": {"scope": "ledger:Connect"}},
                "tools": {
                    "listAccounts": {"delegation": {"scope": "ledger:ListAccounts"}},
                    "getCustomerPII": {
                        "require": {"scopes": ["pii:read"]},
                        "message": "Access denied: PII access requires pii:read scope.",
                        "delegation": {"scope": "ledger:ReadPII"},
                    },
                    "readNotes": {
                        "require": {"scopes": ["pii:read"]}, "denial": "error",
                        "delegation": {"scope": "ledger:ReadPII"},
                    },
                    "wipe": {
                        "require": {"scopes": ["pii:read"]}, "denial": "forbidden",
                        "delegation": {"scope": "ledger:ReadPII"},
                    },
                    "secretTool": {
                        "require": {"scopes": ["pii:read"]}, "denial": "hidden",
                        "delegation": {"scope": "ledger:ReadPII"},
                    },
                },
                "prompts": {"summary": {"delegation": {"scope": "ledger:Prompts"}}},
                "resources": {
                    "ledger://accounts/*": {"delegation": {"scope": "ledger:Resources"}},
                    "ledger://accounts/closed/*": {
                        "require": {"scopes": ["pii:read"]},
                        "delegation": {"scope": "ledger:Closed"},
                    },
                },
            },
            "open": {"audience": AUDIENCE, "baseline": "without_token"},
        },
        "exchange": {
            "cluster": "authorization_server", "authority": "login.example",
            "issuer": ISSUER, "actor": "gateway", "retries": 0,
        },
        "allowed_origins": ["https://app.example"],
        "strip_request_headers": ["x-tenant", "x-internal-*"],
        "ignore": [{"path_prefix": "/health"}, {"host": "other.example"}],
    })
}

/// A token with these claims, rightly signed.
pub fn sign(claims: &Value) -> String {
    sign_as("at+jwt", claims)
}

/// One with this `typ`, or with none if it is empty.
pub fn sign_as(token_type: &str, claims: &Value) -> String {
    let token_type = if token_type.is_empty() { Value::Null } else { token_type.into() };
    sign_under(json!({"alg": "EdDSA", "typ": token_type}), claims)
}

/// One with these header members, but those that are null.
pub fn sign_under(header: Value, claims: &Value) -> String {
    static SIGNING_KEY: LazyLock<<Ed25519 as Algorithm>::SigningKey> = LazyLock::new(|| {
        let jwk: JsonWebKey<'_> = serde_json::from_str(KEY).unwrap();
        (&jwk).try_into().unwrap()
    });
    let header = merge(json!({}), header).to_string();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let input = format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = Ed25519.sign(&SIGNING_KEY, input.as_bytes());
    format!("{input}.{}", encode(&signature.as_bytes()))
}

pub fn merge(mut base: Value, changes: Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    base
}

/// An inbound token of Sarah's.
pub fn token(changes: Value) -> String {
    sign(&inbound(changes))
}

/// The claims of one.
pub fn inbound(changes: Value) -> Value {
    merge(
        json!({
            "iss": ISSUER, "sub": SARAH, "aud": RESOURCE, "client_id": "cli", "jti": "inbound",
            "iat": NOW, "exp": NOW + 600, "scope": "mcp:connect",
            "may_act": {"sub": "gateway"},
        }),
        changes,
    )
}

/// The claims of the delegation token that the authorization server makes for `scope`.
pub fn delegation(scope: &str) -> Value {
    json!({
        "iss": ISSUER, "sub": SARAH, "aud": AUDIENCE, "client_id": "gateway", "jti": "minted",
        "iat": NOW, "exp": NOW + 5, "scope": scope, "act": {"sub": "gateway"},
    })
}

pub fn reply(status: u16, body: impl ToString) -> CalloutReply {
    CalloutReply { status: Some(status), from_server: true, body: body.to_string().into_bytes() }
}

/// The reply with a delegation token of these claims.
pub fn issued(claims: &Value) -> CalloutReply {
    reply(
        200,
        json!({
            "access_token": sign(claims), "token_type": "Bearer", "expires_in": 5,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": claims["scope"],
        }),
    )
}

pub fn call(tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}}).to_string()
}

/// What the workers of a process share: Envoy's shared data.
#[derive(Default)]
pub struct Data {
    pub values: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    versions: Cell<u32>,
    /// How often it was looked into.
    pub reads: Cell<usize>,
    /// Whether another worker writes just before the next one that does.
    pub overtakes: Cell<bool>,
}

impl SharedData for Data {
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.reads.set(self.reads.get() + 1);
        self.values.borrow().get(name).cloned()
    }

    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> bool {
        let mut values = self.values.borrow_mut();
        let known = values.get(name).map(|(_, version)| *version);
        let is_overtaken = self.overtakes.take();
        if version.is_some() && known.is_some() && (version != known || is_overtaken) {
            return false;
        }
        self.versions.set(self.versions.get() + 1);
        values.insert(name.to_owned(), (value.to_vec(), self.versions.get()));
        true
    }
}

/// Who signs by RSA here: Envoy does it with a key, and this without one.
#[derive(Debug)]
pub struct FakeSigner;

impl Signer for FakeSigner {
    fn sign_rs256(&self, private_key: &str, message: &[u8]) -> Option<Vec<u8>> {
        (private_key == PEM).then(|| [b"signed ".as_slice(), message, &[b'.'; 256]].concat())
    }
}

/// What the host of a worker offers, which shares this data with others.
pub fn host(data: Rc<Data>) -> Host {
    Host {
        verifier: Rc::new(PureRust),
        signer: Rc::new(FakeSigner),
        shared_data: data,
        held: Held::default(),
    }
}

/// A worker with one configuration, at a moment.
pub struct Stage {
    pub shared: Shared,
    pub now: Now,
    next: u32,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(configuration())
    }

    pub fn with(configuration: Value) -> Self {
        Self::beside(configuration, Rc::default())
    }

    /// A worker that shares this data with others.
    pub fn beside(configuration: Value, data: Rc<Data>) -> Self {
        let environment = |name: &str| {
            let keys = [
                ("KEY", "k".repeat(32)),
                ("KEY_BEFORE", "b".repeat(32)),
                ("SECRET", "two words: 100% ü".to_owned()),
                ("ACTOR_TOKEN", ACTOR_TOKEN.to_owned()),
                ("ED25519", merge(KEY_SET[0].clone(), json!({"kid": "ed"})).to_string()),
                ("ED25519_ALG", merge(KEY_SET[0].clone(), json!({"alg": "Ed25519"})).to_string()),
                ("P256", KEY_SET[1].to_string()),
                ("RSA", PEM.to_owned()),
            ];
            keys.into_iter().find(|(known, _)| *known == name).map(|(_, key)| key)
        };
        let text = configuration.to_string();
        let config = Config::parse(text.as_bytes(), &environment).expect("a good configuration");
        let now = Now { unix: Duration::from_secs(NOW), monotonic: Duration::from_secs(50) };
        Self { shared: Shared::new(config, host(data)), now, next: 0 }
    }

    /// The configuration of these tests, whose `exchange` differs so.
    pub fn exchanging(changes: Value) -> Self {
        let mut configuration = configuration();
        configuration["exchange"] = merge(configuration["exchange"].clone(), changes);
        Self::with(configuration)
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.unix += time;
        self.now.monotonic += time;
    }

    pub fn begin(&mut self) -> Stream {
        self.next += 1;
        Stream { id: self.next, transaction: Transaction::new(self.next, self.now) }
    }

    /// A POST to `/mcp` whose headers have come, and what the filter says to them.
    pub fn post(&mut self, token: &str, more: &[(&str, &str)]) -> (Stream, Step) {
        let mut stream = self.begin();
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            (":method", "POST"),
            (":path", "/mcp"),
            (":authority", "gateway.example"),
            ("content-type", "application/json"),
            ("authorization", &*bearer),
        ];
        for (name, value) in more {
            if value.is_empty() || name.starts_with(':') || *name == "content-type" {
                headers.retain(|(known, _)| known != name);
            }
            if !value.is_empty() {
                headers.push((name, value));
            }
        }
        let step = stream.headers(self, &headers, false);
        (stream, step)
    }

    /// A POST to `/mcp`, headers and body.
    pub fn send(&mut self, token: &str, body: &str) -> (Stream, Step) {
        let (mut stream, step) = self.post(token, &[]);
        match step {
            Step::Pause => {
                let step = stream.body(self, body.as_bytes());
                (stream, step)
            }
            step => (stream, step),
        }
    }

    /// A request by the rules of 2026-07-28, with all that they ask for, and these headers besides
    /// or, if they are empty, without.
    pub fn ask_stateless(
        &mut self,
        token: &str,
        method: &str,
        params: Value,
        more: &[(&str, &str)],
    ) -> (Stream, Step) {
        let meta = json!({"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }});
        let name = ["name", "uri", "taskId"].iter().find_map(|member| params[member].as_str());
        let name = name.unwrap_or_default().to_owned();
        let params = merge(meta, params);
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let mut headers = vec![
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
            ("mcp-name", &*name),
        ];
        headers.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
        headers.extend(more);
        let (mut stream, step) = self.post(token, &headers);
        match step {
            Step::Pause => {
                let step = stream.body(self, message.to_string().as_bytes());
                (stream, step)
            }
            step => (stream, step),
        }
    }

    /// The host's callout is answered.
    pub fn settle(
        &mut self,
        callout: &Callout,
        reply: Result<CalloutReply, ExchangeError>,
    ) -> Option<Settled> {
        let settings = &self.shared.config.exchange;
        self.shared.exchanges.settle(settings, &callout.purpose, reply, self.now)
    }

    /// What the root context asks for at a tick.
    pub fn due(&mut self) -> Vec<Callout> {
        self.shared.exchanges.due(&self.shared.config.exchange, self.now).calls
    }

    /// A call from the first byte to the step after the exchange.
    pub fn exchange(&mut self, token: &str, tool: &str, reply: CalloutReply) -> (Stream, Step) {
        let (mut stream, step) = self.send(token, &call(tool));
        let callout = step.callout();
        let settled = self.settle(&callout, Ok(reply)).unwrap();
        assert_eq!(settled.waiting, [stream.id]);
        let step = stream.event(self, Event::Exchanged(settled.result.as_ref()));
        (stream, step)
    }
}

/// One HTTP stream.
pub struct Stream {
    pub id: u32,
    pub transaction: Transaction,
}

/// Headers as the host gives them.
pub fn bytes<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
    headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

impl Stream {
    pub fn event(&mut self, stage: &mut Stage, event: Event) -> Step {
        self.transaction.handle(event, &mut stage.shared, stage.now)
    }

    pub fn headers(&mut self, stage: &mut Stage, headers: &[(&str, &str)], end: bool) -> Step {
        let headers = bytes(headers);
        self.event(stage, Event::RequestHeaders { headers: Headers(&headers), end_of_stream: end })
    }

    pub fn body(&mut self, stage: &mut Stage, body: &[u8]) -> Step {
        self.event(stage, Event::RequestBody { length: body.len(), whole: Some(body) })
    }

    /// What goes up after `step`, for which there is a delegation token if it needs one.
    pub fn go_up(&mut self, stage: &mut Stage, step: Step) -> Edits {
        let Step::Call(callout) = step else { return step.edits() };
        let reply = issued(&delegation(&field(&callout, "scope").unwrap()));
        let settled = stage.settle(&callout, Ok(reply)).unwrap();
        assert_eq!(settled.waiting, [self.id]);
        self.event(stage, Event::Exchanged(settled.result.as_ref())).edits()
    }

    /// The MCP server answers, with status 200 if the headers name none.
    pub fn response(&mut self, stage: &mut Stage, headers: &[(&str, &str)]) -> Step {
        let mut headers = bytes(headers);
        if Headers(&headers).first(":status").is_none() {
            headers.push((":status", b"200"));
        }
        let headers = Headers(&headers);
        self.event(
            stage,
            Event::ResponseHeaders { headers, from_server: true, end_of_stream: false },
        )
    }

    pub fn chunk(&mut self, stage: &mut Stage, chunk: &[u8], end: bool) -> Step {
        self.event(stage, Event::ResponseBody { chunk, end_of_stream: end })
    }

    /// The audit record.
    pub fn close(self, stage: &mut Stage, status: u16) -> Option<Value> {
        let line = self.transaction.close(status, &mut stage.shared, stage.now)?;
        assert!(!line.contains('\n'));
        // No member twice.
        json::check(line.as_bytes(), &json::Limits::default()).unwrap();
        Some(serde_json::from_str(&line).unwrap())
    }
}

/// What a test expects a step to be.
pub trait Expect {
    fn edits(self) -> Edits;
    fn callout(self) -> Callout;
    fn reply(self) -> LocalReply;
    fn is_pause(&self) -> bool;
}

impl Expect for Step {
    fn edits(self) -> Edits {
        match self {
            Step::Continue(edits) | Step::Filter { edits, .. } => edits,
            other => panic!("no edits: {other:?}"),
        }
    }

    fn callout(self) -> Callout {
        match self {
            Step::Call(callout) => callout,
            other => panic!("not Call: {other:?}"),
        }
    }

    fn reply(self) -> LocalReply {
        match self {
            Step::Reply(reply) => reply,
            other => panic!("not Reply: {other:?}"),
        }
    }

    fn is_pause(&self) -> bool {
        matches!(self, Step::Pause)
    }
}

/// A header of a local reply.
pub fn header<'a>(reply: &'a LocalReply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

pub fn body(reply: &LocalReply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
}

/// The parameters of a token request, in their order.
pub fn form(callout: &Callout) -> Vec<(String, String)> {
    form_urlencoded::parse(&callout.body).into_owned().collect()
}

/// The parameter of a token request, which has it at most once.
pub fn field(callout: &Callout, name: &str) -> Option<String> {
    let form = form(callout);
    assert!(form.iter().filter(|(known, _)| known == name).count() <= 1, "{name} twice");
    form.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The request for a delegation token, after that for the gateway's own token if one is needed.
pub fn exchange_callout(stage: &mut Stage, step: Step) -> Callout {
    if let Step::Call(callout) = step {
        return callout;
    }
    assert!(step.is_pause(), "{step:?}");
    let own = stage.due().pop().expect("a request for the gateway's own token");
    let issued = json!({"access_token": ACTOR_TOKEN, "token_type": "Bearer", "expires_in": 3600});
    assert!(stage.settle(&own, Ok(reply(200, issued))).is_none(), "nobody is answered yet");
    stage.due().pop().expect("a request for a delegation token")
}
