//! Admission of a person by a bearer token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use menshen::store::{Admission, AdmissionOutcome, DirectoryFields, LinkField};

use super::*;

/// The order of the curve P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The same ES256 token with its second valid signature: for `(r, s)` this is `(r, n - s)`.
fn with_other_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (byte, of_order) in bytes[32..].iter_mut().zip(ORDER).rev() {
        let left = i16::from(of_order) - i16::from(*byte) - borrow;
        borrow = i16::from(left < 0);
        *byte = u8::try_from(left.rem_euclid(256)).unwrap();
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test]
async fn a_revoked_token_stays_revoked_with_another_valid_signature() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider).await;
    let used = token(&provider, "zhangsan");
    let twin = with_other_signature(&used);
    assert_ne!(used, twin);
    assert_eq!(status(&menshen, "/echo", &used).await, 200);
    assert_eq!(
        status(&menshen, "/echo", &twin).await,
        200,
        "the second signature is valid, too"
    );
    assert_eq!(sessions(&menshen).await.len(), 1, "it is the same token");
    let own = sessions(&menshen).await[0].key;
    revoke(&menshen, &RevocationScope::Session(own)).await;
    for token in [&used, &twin, &with_other_signature(&twin)] {
        refused(&bearer("/echo", token).send(&menshen).await, "ended");
        let answer = bearer("/.menshen/userinfo", token).send(&menshen).await;
        refused(&answer, "ended");
    }
    // The second signature may be used for the first time after the revocation.
    let used = token_of_another_app(&provider);
    assert_eq!(status(&menshen, "/echo", &used).await, 200);
    let own = sessions(&menshen).await[0].key;
    revoke(&menshen, &RevocationScope::Session(own)).await;
    let twin = with_other_signature(&used);
    refused(&bearer("/echo", &twin).send(&menshen).await, "ended");
    assert!(sessions(&menshen).await.is_empty());
    let other = token(&provider, "zhangsan");
    assert_eq!(status(&menshen, "/echo", &other).await, 200, "a new token");
}

fn token_of_another_app(provider: &Provider) -> String {
    with(provider, "zhangsan", &json!({ "azp": "tablet" }))
}

#[tokio::test]
async fn a_token_without_the_scopes_of_the_issuer_admits_no_person() {
    let provider = Provider::new().await;
    let issuer = "people = 'keycloak'\nscopes = ['openid', 'portal']";
    let menshen = setup(&provider, "", issuer).start().await;
    let poor = token(&provider, "zhangsan");
    for path in ["/echo", "/.menshen/userinfo"] {
        for _ in 0..2 {
            let answer = bearer(path, &poor).send(&menshen).await;
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert_eq!(answer.status, 403, "{path}: {challenge}");
            assert!(
                challenge.contains("insufficient_scope"),
                "{path}: {challenge}"
            );
        }
    }
    let login: LoginName = "zhangsan".parse().unwrap();
    let store = &menshen.running.live().services().store;
    assert_eq!(store.account_by_login(&login).await.unwrap(), None);
    assert!(sessions(&menshen).await.is_empty());
    assert!(menshen.audit().iter().all(|line| line["event"] != "login"));
    let rich = with(&provider, "zhangsan", &json!({ "scope": "openid portal" }));
    for path in ["/echo", "/.menshen/userinfo"] {
        assert_eq!(status(&menshen, path, &rich).await, 200, "{path}");
    }
}

/// Whether a login with this verified e-mail address would be linked to an existing account.
async fn links_to_an_account(menshen: &Menshen, email: &str) -> bool {
    let admission = Admission {
        connector: "corp".parse().unwrap(),
        subject: "newcomer".parse().unwrap(),
        login: "newcomer".parse().unwrap(),
        links: vec![(LinkField::Email, email.to_owned())],
        vouched: Vec::new(),
        create: false,
        join: None,
        sync: true,
        is_login: true,
        entitlements: "{}".to_owned(),
        fields: DirectoryFields::default(),
        local_revision: None,
        at: menshen.running.live().services().clock.now(),
    };
    let store = &menshen.running.live().services().store;
    match store.admit(&admission).await.unwrap() {
        AdmissionOutcome::Account(_) => true,
        AdmissionOutcome::Unknown => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_old_token_does_not_change_the_verified_address_of_a_later_login() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider).await;
    let old = json!({ "email": "old@corp.example", "email_verified": true });
    let old = with(&provider, "zhangsan", &old);
    let mut browser = Browser::new(&menshen);
    provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(status(&menshen, "/echo", &old).await, 200);
    assert!(!links_to_an_account(&menshen, "old@corp.example").await);
    // The first token of a new person sets the verified address.
    let first = json!({ "email": "lisi@corp.example", "email_verified": true });
    let first = with(&provider, "lisi", &first);
    assert_eq!(status(&menshen, "/echo", &first).await, 200);
    assert!(links_to_an_account(&menshen, "lisi@corp.example").await);
}

#[tokio::test]
async fn userinfo_accepts_a_token_of_the_issuer_and_no_access_token_of_menshen() {
    let provider = Provider::new().await;
    let git = "[[route]]\nname = \"git\"\nhost = \"sso.test\"\npath = \"/git\"\n\
               upstream = [\"{app}\"]\naccess_tokens = true\n";
    let setup = setup(&provider, "", "people = \"keycloak\"");
    let menshen = setup.routes(&format!("{ROUTES}{git}")).start().await;
    let of_issuer = token(&provider, "zhangsan");
    let answer = bearer("/.menshen/userinfo", &of_issuer)
        .send(&menshen)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["login"], "zhangsan");
    let (mut browser, _) = crate::people::log_in_with(&menshen, "corp", "lisi").await;
    let own = crate::access_tokens::make_token(&mut browser, "ci", &[]).await;
    assert_eq!(status(&menshen, "/git/echo", &own).await, 200);
    assert_eq!(status(&menshen, "/.menshen/userinfo", &own).await, 401);
    // Nor as the password of Basic credentials.
    let request = TestRequest::get("/.menshen/userinfo");
    let request = request.header("Authorization", &crate::access_tokens::basic("lisi", &own));
    assert_eq!(request.send(&menshen).await.status, 401);
}
