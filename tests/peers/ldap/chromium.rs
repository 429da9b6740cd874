//! People of OpenLDAP sign in with Chromium.

use super::super::password_form::{Visit, walk_on_every_screen, walk_with_the_keyboard};
use super::slapd::Slapd;

#[tokio::test(flavor = "multi_thread")]
async fn people_of_openldap_sign_in_after_a_wrong_password_on_every_screen() {
    let slapd = Slapd::start("").await;
    let site = slapd
        .site(&format!("ldap://localhost:{}", slapd.port), "")
        .await;
    let echo = format!("{}/echo", site.menshen.url);
    let visit = Visit {
        url: &echo,
        login: "bob",
        password: "bob-password",
    };
    // Three wrong passwords lock the account, and every success starts the count again.
    walk_on_every_screen("ldap", visit).await;
    walk_with_the_keyboard(visit).await;
}
