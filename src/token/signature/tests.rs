use super::*;
use crate::token::tests::host::Host;

const BY_HOST: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::ES256, Algorithm::ES384];

/// A host that is wrong in some way.
struct Wrong<F>(F);

impl<F> fmt::Debug for Wrong<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wrong")
    }
}

impl<F: Fn(&SignatureCheck<'_>) -> Option<bool>> SignatureVerifier for Wrong<F> {
    fn verify(&self, check: &SignatureCheck<'_>) -> Option<bool> {
        (self.0)(check)
    }
}

#[test]
fn a_host_that_is_right_is_believed() {
    assert_eq!(proven(&Host), BY_HOST);
}

#[test]
fn a_host_that_is_wrong_in_any_way_is_not_believed() {
    assert_eq!(proven(&PureRust), []);
    assert_eq!(proven(&Wrong(|_: &SignatureCheck| Some(true))), []);
    assert_eq!(proven(&Wrong(|_: &SignatureCheck| Some(false))), []);
    let accepts_any_message = |check: &SignatureCheck| {
        Host.verify(&SignatureCheck { message: b"known answer", ..*check })
    };
    assert_eq!(proven(&Wrong(accepts_any_message)), []);
    let accepts_any_signature = |check: &SignatureCheck| Some(check.message == b"known answer");
    assert_eq!(proven(&Wrong(accepts_any_signature)), []);
}

#[test]
fn each_algorithm_is_proven_by_itself() {
    let knows_no_p384 = |check: &SignatureCheck| match check.algorithm {
        Algorithm::ES384 => None,
        Algorithm::RS384 => Some(true),
        _ => Host.verify(check),
    };
    let expected = [Algorithm::RS256, Algorithm::RS512, Algorithm::ES256];
    assert_eq!(proven(&Wrong(knows_no_p384)), expected);
}
