//! Tokens that jwcrypto, an independent library, signs and encrypts. `tests/peers/jwcrypto/install` installs
//! it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use menshen::clock::Clock;
use serde_json::{Value, json};

use super::processes::counterparts;
use super::setup::Menshen;

const SIGNATURES: [&str; 12] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "EdDSA",
];

const KEY_ALGORITHMS: [&str; 9] = [
    "dir",
    "A128KW",
    "A256KW",
    "A128GCMKW",
    "A256GCMKW",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "ECDH-ES",
    "ECDH-ES+A256KW",
];

const CONTENT_ALGORITHMS: [&str; 4] = ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"];

/// The keys that `menshen keygen` makes for one algorithm.
#[derive(Clone, Debug)]
struct Keys {
    /// The private key in PEM, or the shared secret in Base64.
    private: String,
    /// The public key in PEM, or the same secret.
    public: String,
}

impl Keys {
    fn generate(algorithm: &str) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
            .args(["keygen", "--for", algorithm])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let (private, public) = match printed.find("-----BEGIN PUBLIC KEY-----") {
            Some(end) => printed.split_at(end),
            None => (printed.trim(), printed.trim()),
        };
        Self {
            private: private.to_owned(),
            public: public.to_owned(),
        }
    }

    /// Lines of a table with this key.
    fn toml(key: &str) -> String {
        match key.starts_with("-----BEGIN") {
            true => format!("key = '''{key}'''\n"),
            false => format!("key = '{key}'\nkey_encoding = 'base64'\n"),
        }
    }
}

/// One portal: its algorithms, and its keys.
struct Portal {
    id: String,
    alg: &'static str,
    signing: Keys,
    encryption: Option<(&'static str, &'static str, Keys)>,
}

impl Portal {
    fn toml(&self) -> String {
        let Self { id, alg, .. } = self;
        let key = Keys::toml(&self.signing.public);
        let mut text = format!(
            "[connector.{id}.jwt]\nalgorithm = '{alg}'\n{key}issuer = 'portal'\n\
             audience = 'menshen'\norigins = ['https://portal.example']\n"
        );
        if let Some((alg, enc, keys)) = &self.encryption {
            let key = Keys::toml(&keys.private);
            text.push_str(&format!(
                "[connector.{id}.jwt.decrypt]\nalgorithm = '{alg}'\nmethod = '{enc}'\n{key}"
            ));
        }
        text
    }

    /// What jwcrypto shall sign and encrypt.
    fn request(&self, signing: &Keys, number: usize) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let mut request = json!({
            "alg": self.alg, "key": signing.private,
            "claims": {
                "iss": "portal", "aud": "menshen", "sub": format!("{}-{number}", self.id),
                "iat": now, "exp": now + 240, "jti": format!("{}-{number}", self.id),
            },
        });
        if let Some((alg, enc, keys)) = &self.encryption {
            request["encrypt"] = json!({ "alg": alg, "enc": enc, "key": keys.public });
        }
        request
    }
}

/// The tokens that jwcrypto makes.
fn tokens(requests: &[Value]) -> Vec<String> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/jwcrypto/tokens.py"
    );
    let mut python = Command::new(counterparts().join("jwcrypto/bin/python"))
        .args(["-B", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = Value::from(requests).to_string();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = python.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every signature algorithm, and every pair of algorithms for encryption.
fn portals() -> Vec<Portal> {
    let signing = |alg: &'static str| Portal {
        id: format!("s-{}", alg.to_lowercase()),
        alg,
        signing: Keys::generate(alg),
        encryption: None,
    };
    let mut portals: Vec<_> = SIGNATURES.map(signing).into();
    let signing = Keys::generate("ES256");
    for (number, alg) in KEY_ALGORITHMS.into_iter().enumerate() {
        let keys = Keys::generate(if alg == "dir" { "A256GCM" } else { alg });
        for (of, enc) in CONTENT_ALGORITHMS.into_iter().enumerate() {
            let keys = match alg {
                "dir" => Keys::generate(enc),
                _ => keys.clone(),
            };
            portals.push(Portal {
                id: format!("e-{number}-{of}"),
                alg: "ES256",
                signing: signing.clone(),
                encryption: Some((alg, enc, keys)),
            });
        }
    }
    portals
}

/// Follows a link of the portal with a token; returns the status, and whether there is a session.
async fn enter(client: &reqwest::Client, url: &str, id: &str, token: &str) -> (u16, bool) {
    let answer = client
        .get(format!("{url}/.menshen/enter/{id}"))
        .query(&[("token", token)])
        .header("accept", "text/html")
        .header("referer", "https://portal.example/home")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("sec-fetch-site", "cross-site")
        .send()
        .await
        .unwrap();
    let mut cookies = answer.headers().get_all("set-cookie").iter();
    let is_session = |cookie: &str| cookie.starts_with("menshen=");
    let has_session = cookies.any(|cookie| cookie.to_str().is_ok_and(is_session));
    (answer.status().as_u16(), has_session)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_jwcrypto_are_accepted_with_the_right_key_only() {
    let portals = portals();
    let menshen = Menshen::built(Clock::system(), |url, dir| {
        let tables: String = portals.iter().map(Portal::toml).collect();
        let store = dir.path().join("menshen.db").display().to_string();
        let listen = url.trim_start_matches("http://");
        format!(
            "[server]\nlisten = ['{listen}']\nexternal_url = '{url}'\n[store]\nurl = 'sqlite://{store}'\n\
             [login]\nfinishes_per_client_per_minute = 1000000\nbad_codes_max = 1000000\n\
             {tables}[[route]]\nname = 'nothing'\naccess = 'public'\n"
        )
    })
    .await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let good: Vec<_> = portals
        .iter()
        .map(|portal| portal.request(&portal.signing, 1))
        .collect();
    let bad: Vec<_> = portals
        .iter()
        .map(|portal| portal.request(&Keys::generate(portal.alg), 2))
        .collect();
    let (good, bad) = (tokens(&good), tokens(&bad));
    for (portal, (good, bad)) in portals.iter().zip(good.iter().zip(&bad)) {
        let encryption = portal.encryption.as_ref().map(|(alg, enc, _)| (alg, enc));
        let what = format!("{} {encryption:?}", portal.alg);
        let (url, id) = (&menshen.url, &portal.id);
        let refused = (403, false);
        let other_key = enter(&client, url, id, bad).await;
        assert_eq!(other_key, refused, "{what}: another key");
        let first = enter(&client, url, id, good).await;
        assert_eq!(first, (303, true), "{what}");
        let again = enter(&client, url, id, good).await;
        assert_eq!(again, refused, "{what}: again");
    }
}
