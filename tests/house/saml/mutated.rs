//! Whatever is done to a signed response without the key: it is refused, or it signs in the same person.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::encryption::Encryption;
use super::idp::{ASSERTION_ONLY, BOTH, Idp, RESPONSE_ONLY, Signed};
use super::{Attempt, HTTPS, assert_signed_in, sign_in, start_menshen};

/// What an attacker may do to a document.
#[derive(Clone, Debug)]
enum Change {
    /// Removes bytes and inserts a text.
    Splice(prop::sample::Index, usize, &'static str),
    /// Copies or moves what stands between two tags to another tag, about somebody else or not.
    Transplant {
        from: prop::sample::Index,
        tags: usize,
        to: prop::sample::Index,
        removes: bool,
        forges: bool,
    },
    /// Puts an element around what stands between two tags.
    Wrap(prop::sample::Index, usize, &'static str),
    /// Replaces the name of the person everywhere.
    Rename,
}

const TEXTS: [&str; 30] = [
    "",
    "admin",
    "<!-- -->",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "&#x41;",
    "&lol;",
    "<",
    ">",
    "/>",
    "\"",
    " ",
    "\r\n",
    "\u{feff}",
    "张",
    " ID=\"_x\"",
    " Id=\"_x\"",
    " xml:id=\"_x\"",
    " xmlns=\"urn:x\"",
    " xmlns:saml=\"urn:x\"",
    " xmlns:samlp=\"urn:x\"",
    " xmlns:unused=\"urn:x\"",
    "<saml:NameID>p-admin</saml:NameID>",
    "</saml:NameID><saml:NameID>p-admin",
    "<saml:AttributeValue>admin</saml:AttributeValue>",
    "<saml:Assertion ID=\"_evil\"/>",
    "<ds:Signature/>",
    "<?x y?>",
    "<!DOCTYPE x>",
];

const WRAPPERS: [&str; 8] = [
    "samlp:Extensions",
    "samlp:Response",
    "saml:Assertion",
    "saml:Subject",
    "saml:Advice",
    "ds:Object",
    "ds:KeyInfo",
    "x",
];

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    let text = prop::sample::select(TEXTS.to_vec());
    let wrapper = prop::sample::select(WRAPPERS.to_vec());
    prop_oneof![
        4 => (place(), 0_usize..16, text).prop_map(|(at, removed, text)| Change::Splice(at, removed, text)),
        6 => (place(), 1_usize..40, place(), any::<bool>(), any::<bool>()).prop_map(
            |(from, tags, to, removes, forges)| Change::Transplant { from, tags, to, removes, forges }
        ),
        2 => (place(), 1_usize..40, wrapper).prop_map(|(at, tags, name)| Change::Wrap(at, tags, name)),
        1 => Just(Change::Rename),
    ]
}

/// From one tag to another one some tags later.
fn range(document: &str, from: prop::sample::Index, tags: usize) -> Option<(usize, usize)> {
    let starts: Vec<_> = document.match_indices('<').map(|(at, _)| at).collect();
    let first = from.index(starts.len().max(1));
    let start = *starts.get(first)?;
    let end = starts.get(first + tags).copied();
    Some((start, end.unwrap_or(document.len())))
}

fn about_admin(text: &str) -> String {
    text.replace("p-zhangsan", "p-admin")
        .replace(">zhangsan<", ">admin<")
}

fn apply(document: &mut String, change: &Change) {
    match change {
        Change::Splice(at, removed, text) => {
            let start = document.floor_char_boundary(at.index(document.len() + 1));
            let end = document.floor_char_boundary((start + removed).min(document.len()));
            document.replace_range(start..end, text);
        }
        Change::Transplant {
            from,
            tags,
            to,
            removes,
            forges,
        } => {
            let Some((start, end)) = range(document, *from, *tags) else {
                return;
            };
            let mut piece = document[start..end].to_owned();
            if *removes {
                document.replace_range(start..end, "");
            }
            if *forges {
                piece = about_admin(&piece).replace("ID=\"_", "ID=\"_evil");
            }
            if let Some((to, _)) = range(document, *to, 1) {
                document.insert_str(to, &piece);
            }
        }
        Change::Wrap(at, tags, name) => {
            if let Some((start, end)) = range(document, *at, *tags) {
                document.insert_str(end, &format!("</{name}>"));
                document.insert_str(start, &format!("<{name}>"));
            }
        }
        Change::Rename => *document = about_admin(document),
    }
}

/// Posts many changed documents, and returns how many of them signed zhangsan in.
async fn post_changed(
    signed: Signed,
    encryption: Option<Encryption>,
    seed: u64,
    cases: usize,
) -> usize {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    idp.state().signed = signed;
    idp.state().encryption = encryption;
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    });
    let changes = proptest::collection::vec(change(), 1..4);
    let mut accepted = 0;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let mut honest = idp.write(&idp.response_to(&attempt.request));
    for _ in 0..cases {
        let changes = changes.new_tree(&mut runner).unwrap().current();
        let mut document = honest.clone();
        changes
            .iter()
            .for_each(|change| apply(&mut document, change));
        let mut browser = attempt.browser.clone();
        let state = attempt.request.relay_state.as_deref();
        let page = super::post_response(&mut browser, &document, state).await;
        let info = format!("{HTTPS}/.menshen/userinfo");
        let info = browser.send("GET", &info, &[], b"").await;
        if info.status != 200 {
            assert!(
                matches!(page.answer.status, 400 | 403 | 502),
                "seed {seed}, {changes:?}: {} {}",
                page.answer.status,
                page.answer.text()
            );
            continue;
        }
        let info = info.json();
        assert_eq!(
            info["login"], "zhangsan",
            "seed {seed}, {changes:?}: {document}"
        );
        let record = menshen.audit().pop().unwrap();
        assert_eq!(record["subject"], "p-zhangsan", "seed {seed}: {document}");
        accepted += 1;
        attempt = Attempt::begin(&menshen, &idp).await;
        honest = idp.write(&idp.response_to(&attempt.request));
    }
    // None of them spoiled the login.
    let page = attempt.answer(&honest).await;
    assert_signed_in(&page, "zhangsan", "the honest response at last");
    assert_signed_in(
        &sign_in(&menshen, &idp).await.1,
        "zhangsan",
        "another login",
    );
    accepted
}

/// A fixed seed and one of the day for each; the message of a failure has the seed.
async fn no_change_changes_who_comes_in(signed: Signed, encryption: Option<Encryption>) {
    let random: [u8; 8] = menshen::keys::random();
    for (seed, cases) in [(1_402, 800), (u64::from_ne_bytes(random), 200)] {
        let accepted = post_changed(signed, encryption, seed, cases).await;
        // Some changes have no meaning, and most have one.
        assert!(accepted < cases / 2, "seed {seed}: {accepted} of {cases}");
    }
}

#[tokio::test]
async fn no_change_of_a_signed_assertion_changes_who_comes_in() {
    no_change_changes_who_comes_in(ASSERTION_ONLY, None).await;
}

#[tokio::test]
async fn no_change_of_a_signed_response_changes_who_comes_in() {
    no_change_changes_who_comes_in(RESPONSE_ONLY, None).await;
}

#[tokio::test]
async fn no_change_of_a_response_that_is_signed_twice_changes_who_comes_in() {
    no_change_changes_who_comes_in(BOTH, None).await;
}

#[tokio::test]
async fn no_change_of_an_encrypted_assertion_changes_who_comes_in() {
    no_change_changes_who_comes_in(ASSERTION_ONLY, Some(Encryption::default())).await;
}
