//! What the targets share: the fixture of the tests of whole transactions, and a key to sign with.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use jwt_compact::{Algorithm, AlgorithmSignature, alg::Ed25519, jwk::JsonWebKey};
use mcp_deputy::clock::Now;
use mcp_deputy::exchange::Exchanges;

// Each target uses some of it.
#[allow(dead_code, clippy::all, missing_docs)]
#[path = "../../tests/flow/stage.rs"]
pub mod stage;

use stage::Stage;
pub use stage::{ISSUER, NOW, RESOURCE, configuration};

/// Runs on a stage where nothing has happened. Its configuration is read once, for all of them.
pub fn on_stage<T>(run: impl FnOnce(&mut Stage) -> T) -> T {
    thread_local!(static STAGE: RefCell<Stage> = RefCell::new(Stage::new()));
    STAGE.with_borrow_mut(|stage| {
        stage.now = Now { unix: Duration::from_secs(NOW), monotonic: Duration::from_secs(50) };
        stage.shared.callers.forget_all();
        let host = stage::host(Rc::default());
        let (bounds, digest) =
            (stage.shared.config.limits.delegations(), stage.shared.config.digest);
        stage.shared.exchanges = Exchanges::new(bounds, host.verifier, host.signer).shared(
            host.shared_data,
            digest,
            bounds.entries,
        );
        run(stage)
    })
}

/// The one public key of [`ISSUER`].
pub static PUBLIC_KEYS: LazyLock<String> =
    LazyLock::new(|| configuration()["issuers"][0]["jwks"].to_string());

/// The lines of an input, the last of which is whatever is left; none if it has fewer, or is no text.
#[must_use]
pub fn parts<const COUNT: usize>(input: &[u8]) -> Option<[&str; COUNT]> {
    let lines = std::str::from_utf8(input).ok()?.splitn(COUNT, '\n');
    lines.collect::<Vec<_>>().try_into().ok()
}

/// A signature by the key of [`ISSUER`].
pub fn sign(message: &[u8]) -> Vec<u8> {
    static KEY: LazyLock<<Ed25519 as Algorithm>::SigningKey> = LazyLock::new(|| {
        let jwk: JsonWebKey<'_> = serde_json::from_value(stage::KEY_SET[0].clone()).expect("a key");
        (&jwk).try_into().expect("a private key")
    });
    Ed25519.sign(&KEY, message).as_bytes().into_owned()
}
