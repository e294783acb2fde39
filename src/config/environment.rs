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

/// Whether `name` can name a variable of the environment.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
