//! Recognizes the names of keys, fields and headers that usually contain secrets.

/// The endings of such names, in lower case, without `-` and `_`.
const ENDINGS: [&str; 14] = [
    "secret",
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "token",
    "keys",
    "privatekey",
    "aeskey",
    "encryptkey",
    "apikey",
    "appkey",
    "accesskey",
    "credentials",
];

/// Names that count only as a whole.
const NAMES: [&str; 3] = ["key", "authorization", "cookie"];

/// Whether a key, a field or a header with this name probably contains a secret. It need not be one that menshen
/// knows.
pub fn names_secret(name: &str) -> bool {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_'));
    let name: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    NAMES.contains(&name.as_str()) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in [
            "client_secret",
            "X-Api-Key",
            "appKey",
            "Authorization",
            "key",
            "encoding_aes_key",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in ["login", "monkey", "public_key", "X-Role", "keyword"] {
            assert!(!names_secret(name), "{name}");
        }
    }
}
