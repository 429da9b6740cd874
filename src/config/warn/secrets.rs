//! Secrets in the configuration itself, and files of secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Warnings;
use crate::secret::SecretSource;
use crate::text;

/// The bit of the mode of a file with which every user of the machine may read it.
const READABLE_BY_ALL: u32 = 0o004;
/// Folders in which secrets are kept; a text that begins with one of them is probably a path.
const FOLDERS: [&str; 9] = [
    "/etc/", "/run/", "/var/", "/opt/", "/srv/", "/home/", "/root/", "/usr/", "/data/",
];

/// Warns of secrets that stand in the text.
pub(super) fn warn(warnings: &mut Warnings<'_>) {
    for (key_path, secret) in warnings.config.secrets() {
        let SecretSource::Literal(literal) = secret else {
            continue;
        };
        let literal = literal.expose();
        let text = match looks_like_path(literal) || names_file(literal) {
            _ if is_variable(literal) => text!(
                "this text is taken for the secret itself, variables are not replaced: write \
                 {{ env = \"NAME\" }}",
                "这段文本会被当作密钥本身，不会替换变量：请写 {{ env = \"NAME\" }}"
            ),
            true => text!(
                "this text is taken for the secret itself, but looks like the path of a file: write \
                 {{ file = \"...\" }}",
                "这段文本会被当作密钥本身，但看起来是文件路径：请写 {{ file = \"...\" }}"
            ),
            false => text!(
                "the secret is in the configuration itself, and so in its backups: write \
                 {{ file = \"...\" }} or {{ env = \"...\" }}",
                "密钥直接写在配置里，也就进了它的备份：请写 {{ file = \"...\" }} 或 {{ env = \"...\" }}"
            ),
        };
        warnings.add(&key_path, text);
    }
}

/// Warns of files of secrets: of what menshen trims off them, and of who may read them.
pub(super) fn warn_about_files(warnings: &mut Warnings<'_>) {
    for (key_path, secret) in warnings.config.secrets() {
        if let Some(trimmed) = secret.trimmed_parts() {
            let trimmed = trimmed.text();
            let text = text!(
                "the file has {trimmed} around the secret, which menshen ignores: write the file without \
                 it, for example with printf",
                "文件中密钥前后有{trimmed:#}，menshen 会忽略：写文件时请不要带上，例如用 printf"
            );
            warnings.add(&key_path, text);
        }
        let metadata = secret.file().and_then(|path| std::fs::metadata(path).ok());
        if metadata.is_some_and(|file| file.permissions().mode() & READABLE_BY_ALL != 0) {
            let text = text!(
                "every user of this machine can read the secret: let only the user of menshen read the file \
                 (chmod 640)",
                "这台机器上的所有用户都能读到密钥：请只让运行 menshen 的用户读这个文件（chmod 640）"
            );
            warnings.add(&key_path, text);
        }
    }
}

/// Whether a secret is probably the path of a file. Base64 may begin with a slash, too.
fn looks_like_path(secret: &str) -> bool {
    let is_in_path = |c: char| c.is_alphanumeric() || "/._-~".contains(c);
    let begins_like_path = FOLDERS.iter().any(|folder| secret.starts_with(folder))
        || ["./", "../", "~/"]
            .iter()
            .any(|start| secret.starts_with(start));
    begins_like_path && secret.chars().all(is_in_path)
}

/// Whether a secret is written like the variable of a shell: `${NAME}`, or `$NAME` in capital letters.
fn is_variable(secret: &str) -> bool {
    let Some(rest) = secret.strip_prefix('$') else {
        return false;
    };
    let braced = rest
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_capital = |c: char| c.is_ascii_uppercase() || c == '_';
    match braced {
        Some(name) => !name.is_empty() && name.chars().all(is_name),
        None => !rest.is_empty() && rest.chars().all(is_capital),
    }
}

/// Whether a secret is the absolute path of a file of this machine.
fn names_file(secret: &str) -> bool {
    secret.starts_with('/') && Path::new(secret).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_a_secret() {
        for path in [
            "/etc/menshen/wecom.secret",
            "./wecom.secret",
            "~/secret",
            "/run/secrets/x",
        ] {
            assert!(looks_like_path(path), "{path}");
        }
        for secret in ["/9j4AAQ/etc/x+y==", "hunter2", "", "/etc/x y", "a/etc/x"] {
            assert!(!looks_like_path(secret), "{secret}");
        }
    }
}
