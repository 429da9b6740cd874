//! Names of keys, fields and headers by which people call secrets.

/// How such names end, in lower case, without `-` and `_`.
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

/// Names that are whole.
const NAMES: [&str; 3] = ["key", "authorization", "cookie"];

/// Whether what has this name is probably a secret, also if it stands where no secret belongs.
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
