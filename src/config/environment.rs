//! Secrets: the environment of the process holds them, the configuration names them.

use super::Problems;

/// Looks up a variable of the process's environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The secret in the variable `name`, which stands at `path`; `example` is how one may be called.
///
/// None if there is no environment, or if something is wrong, which then stands in `problems`.
pub(crate) fn secret(
    name: &str,
    example: &str,
    path: &str,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Option<String> {
    if !is_variable(name) {
        let help = format!(
            "name a variable like `{example}`; the secret itself does not belong in the configuration"
        );
        // What stands here may be the secret itself.
        problems.add_with_help(path, "not the name of an environment variable", help);
        return None;
    }
    let value = environment?(name).filter(|value| !value.is_empty());
    if value.is_none() {
        let help =
            "set it in Envoy's environment, and let `deputy render` name it in `filter.yaml`";
        problems.add_with_help(path, format!("`{name}` is not set in the environment"), help);
    }
    value
}

/// The secret as [`secret`] finds it, if it can be sent: a line break at its end, say, is of the file
/// where it was, and no server knows it so.
pub(crate) fn plain_secret(
    name: &str,
    example: &str,
    path: &str,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Option<String> {
    let value = secret(name, example, path, environment, problems)?;
    if !value.bytes().any(|byte| byte.is_ascii_control()) {
        return Some(value);
    }
    let help = "set it without a line break at its end";
    problems.add_with_help(path, format!("`{name}` has control characters"), help);
    None
}

/// Whether `name` can name a variable of the environment.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
