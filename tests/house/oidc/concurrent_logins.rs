//! Many concurrent logins: each person gets a session of their own.

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::browser::Browser;
use crate::provider::Provider;
use crate::setup::SSO_URL;

const LOGINS: usize = 1000;
const PEOPLE: usize = 25;
/// With more concurrent logins requests would time out on a busy machine.
const CONCURRENT_LOGINS: usize = 12;

#[tokio::test]
async fn a_thousand_interleaved_logins_never_mix_up_persons() {
    let provider = Provider::new().await;
    let menshen = provider.setup("userinfo = false").start().await;
    let log_in = async |nth: usize| {
        let login = format!("p{}", nth % PEOPLE);
        let mut browser = Browser::new(&menshen);
        let back = provider
            .callback_url(&mut browser, "keycloak", &login)
            .await;
        // Other logins begin and finish between the redirects of this one.
        for _ in 0..nth % 7 {
            tokio::task::yield_now().await;
        }
        let page = browser.follow(&back).await;
        assert_eq!(page.url, format!("{SSO_URL}/echo"), "{login}");
        assert_eq!(page.answer.echoed("x-forwarded-user"), [login.as_str()]);
        let session = browser.cookie("menshen").expect("a session").value.clone();
        (login, session)
    };
    let all: Vec<_> = stream::iter(0..LOGINS)
        .map(log_in)
        .buffer_unordered(CONCURRENT_LOGINS)
        .collect()
        .await;
    let mut sessions: Vec<_> = all.iter().map(|(_, session)| session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), LOGINS);
    let audit = menshen.audit();
    assert_eq!(audit.len(), LOGINS);
    for line in audit {
        let login = line["login"].as_str().unwrap();
        assert_eq!(line["subject"], provider.sub(login), "{line}");
    }
    assert_eq!(
        (provider.code_grants(), provider.calls("discovery")),
        (LOGINS, 1)
    );
}
