//! Whoever adds a certificate authority can pass for the places to which a kept secret is sent, so the secret is
//! asked for again.

use rcgen::generate_simple_self_signed;

use super::*;

fn pem() -> String {
    let certified = generate_simple_self_signed(vec!["ca.corp.example".to_owned()]);
    certified.unwrap().cert.pem()
}

/// Settings with a secret, and where it is.
fn settings() -> Vec<(Value, &'static str, &'static str)> {
    let ldap = json!({ "ldap": {
        "url": "ldaps://ldap.corp.example", "base": "dc=corp", "bind_dn": "cn=gate,dc=corp",
        "bind_password": "kept", "member_of_base": "dc=corp",
    }});
    let oidc = json!({ "oidc": {
        "issuer": "https://id.corp.example", "client_id": "a", "client_secret": "kept",
    }});
    let proxied = json!({
        "oidc": { "issuer": "https://id.corp.example", "client_id": "a" },
        "proxy": "https://user:kept@proxy.corp.example:3128",
    });
    vec![
        (ldap, "/ldap/bind_password", "ldap.bind_password"),
        (oidc, "/oidc/client_secret", "oidc.client_secret"),
        (proxied, "/proxy", "proxy"),
    ]
}

#[tokio::test]
async fn a_kept_secret_is_asked_for_again_when_an_authority_is_added() {
    let site = ManagedSite::start().await;
    let (first, second) = (pem(), pem());
    for (number, (table, pointer, field)) in settings().into_iter().enumerate() {
        let path = format!("/api/connectors/c{number}");
        let with = |authorities: &str, secret: Option<&str>| {
            let mut changed = table.clone();
            changed["ca_pem"] = json!(authorities);
            if let Some(secret) = secret {
                *changed.pointer_mut(pointer).unwrap() = json!(secret);
            }
            changed
        };
        site.put(&format!("c{number}"), &table).await;
        for authorities in [first.clone(), format!("{first}{second}")] {
            let kept = with(&authorities, Some("********"));
            for (method, path) in [("PUT", path.clone()), ("POST", format!("{path}/test"))] {
                let answer = site.api(method, &path, &kept).await;
                assert_eq!(answer.status, 400, "{field}: {}", answer.text());
                assert_eq!(answer.json()["fields"][0]["field"], field);
            }
            site.put(&format!("c{number}"), &with(&authorities, None))
                .await;
        }
        // Who may pass for the source is the same, or fewer may.
        for fewer in [format!("\n{second}\r\n{first}\n"), second.clone()] {
            site.put(&format!("c{number}"), &with(&fewer, Some("********")))
                .await;
        }
    }
}

#[tokio::test]
async fn the_password_of_a_proxy_without_tls_stays_when_an_authority_is_added() {
    let site = ManagedSite::start().await;
    let mut table = json!({ "oidc": { "issuer": "https://id.corp.example", "client_id": "a" } });
    table["proxy"] = json!("http://user:kept@proxy.corp.example:3128");
    site.put("sso", &table).await;
    table["proxy"] = json!("http://user:********@proxy.corp.example:3128");
    table["ca_pem"] = json!(pem());
    site.put("sso", &table).await;
}
