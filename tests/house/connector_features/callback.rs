//! How an answer names its login: by a parameter of the source's own, in an address or in a form.

use menshen::face::page::Cause;
use menshen::login::connector::{Callback, CallbackMethod};
use url::Url;

use super::test_source::TestSource;
use super::{HTTPS, ID, secure_plan};
use crate::browser::Browser;
use crate::logging_in::OWN;
use crate::setup::{HOME, Menshen, Setup, UNLIMITED};
use crate::wire::Answer;

fn by(flow_parameter: &'static str, method: CallbackMethod) -> Callback {
    Callback {
        flow_parameter: flow_parameter.into(),
        method,
        ..Callback::default()
    }
}

async fn start_menshen(source: &TestSource) -> Menshen {
    let setup = Setup::default().more(UNLIMITED);
    setup.provided(ID, "", source.provided()).start().await
}

async fn secure_menshen(source: &TestSource) -> Menshen {
    let setup = secure_plan().provided(ID, "", source.provided());
    setup.start().await
}

/// Opens a login; answers what the source would return of it.
async fn flow_of(browser: &mut Browser, home: &str) -> String {
    let start = format!("{home}/.menshen/start?connector={ID}&rd=%2Fecho");
    let answer = browser.visit(&start).await;
    let to = answer.header("location").expect("the way to the source");
    let to = Url::parse(to).unwrap();
    let flow = to.query_pairs().find(|(name, _)| name == "flow");
    flow.expect("the name of the login").1.into_owned()
}

/// What a page of the source posts, with the cookies that go along.
async fn post(browser: &mut Browser, form: &str) -> Answer {
    let headers = [
        ("Accept", "text/html"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", "https://idp.test"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let url = format!("{HTTPS}/.menshen/callback/{ID}");
    browser.send("POST", &url, &headers, form.as_bytes()).await
}

#[tokio::test]
async fn a_source_returns_the_login_in_a_parameter_of_its_own() {
    for parameter in ["RelayState", "state", "portalState", "flow"] {
        let source = TestSource::returning(by(parameter, CallbackMethod::Get));
        let menshen = start_menshen(&source).await;
        let mut browser = Browser::new(&menshen);
        let flow = flow_of(&mut browser, HOME).await;
        let callback = format!("{OWN}/callback/{ID}");
        // Another parameter names no login, and one that stands twice names none either.
        for bad in [
            format!("{callback}?Other={flow}&assertion=lisi"),
            format!("{callback}?{parameter}={flow}&{parameter}={flow}&assertion=lisi"),
            format!("{callback}?assertion=lisi"),
            format!(
                "{callback}?{}={flow}&assertion=lisi",
                parameter.to_uppercase()
            ),
        ] {
            let answer = browser.visit(&bad).await;
            assert_eq!(
                (answer.status, answer.cause()),
                (400, Some(Cause::BadAnswer)),
                "{bad}"
            );
        }
        // Nobody else's browser may bring it.
        let good = format!("{callback}?{parameter}={flow}&assertion=lisi");
        let answer = Browser::new(&menshen).visit(&good).await;
        assert_eq!(answer.cause(), Some(Cause::LoginMissing), "{parameter}");
        assert_eq!(source.asked(), [""; 0], "{parameter}");
        let page = browser.follow(&good).await;
        assert_eq!(page.url, format!("{HOME}/echo"));
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
        // Seen again it is harmless, and the source is not asked again.
        let page = browser.follow(&good).await;
        assert_eq!(page.url, format!("{HOME}/echo"));
        assert_eq!(source.asked(), ["lisi"], "{parameter}");
    }
}

#[tokio::test]
async fn an_answer_counts_only_in_the_way_that_its_source_has() {
    for (method, get, posted, allow) in [
        (CallbackMethod::Get, true, false, "GET"),
        (CallbackMethod::Post, false, true, "POST"),
        (CallbackMethod::GetOrPost, true, true, "GET, POST"),
    ] {
        let source = TestSource::returning(by("RelayState", method));
        let menshen = secure_menshen(&source).await;
        let mut browser = Browser::new(&menshen).over_https();
        let flow = flow_of(&mut browser, HTTPS).await;
        let fields = format!("RelayState={flow}&assertion=lisi");
        let at = format!("{HTTPS}/.menshen/callback/{ID}?{fields}");
        let by_get = browser.clone().visit(&at).await;
        let by_post = post(&mut browser.clone(), &fields).await;
        for (answer, counts) in [(by_get, get), (by_post, posted)] {
            let came_in = answer
                .all("set-cookie")
                .any(|it| it.starts_with("__Host-menshen="));
            assert_eq!(came_in, counts, "{method:?}: {answer:?}");
            if !counts {
                assert_eq!(answer.status, 405, "{method:?}");
                assert_eq!(answer.header("allow"), Some(allow), "{method:?}");
            }
        }
        // A form that names the login in its address names none.
        let at = format!("{HTTPS}/.menshen/callback/{ID}?RelayState={flow}");
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = browser.send("POST", &at, &form, b"assertion=lisi").await;
        assert_eq!(answer.status, if posted { 400 } else { 405 }, "{method:?}");
        let head = browser.send("HEAD", &at, &[], b"").await;
        assert_eq!((head.status, head.header("allow")), (405, Some(allow)));
    }
}

#[tokio::test]
async fn a_form_is_as_large_as_its_source_needs_and_no_larger() {
    let callback = Callback {
        form_bytes_max: 300 * 1024,
        ..by("RelayState", CallbackMethod::Post)
    };
    let source = TestSource::returning(callback);
    let menshen = secure_menshen(&source).await;
    for (bytes, counts) in [(300 * 1024, true), (300 * 1024 + 1, false)] {
        let mut browser = Browser::new(&menshen).over_https();
        let flow = flow_of(&mut browser, HTTPS).await;
        let fields = format!("RelayState={flow}&assertion=lisi&more=");
        let form = format!("{fields}{}", "x".repeat(bytes - fields.len()));
        let answer = post(&mut browser, &form).await;
        assert_eq!(answer.status, if counts { 303 } else { 400 }, "{bytes}");
    }
}

#[tokio::test]
async fn sources_with_parameters_of_their_own_may_share_an_address() {
    let address = format!("{OWN}/callback");
    let lines = format!("callback = \"{address}\"");
    let source = TestSource::returning(by("RelayState", CallbackMethod::Get));
    let setup = Setup::default().connector(&lines).more(UNLIMITED);
    let menshen = setup.provided(ID, &lines, source.provided()).start().await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_of(&mut browser, HOME).await;
    let start = format!("{OWN}/start?connector=corp&rd=%2Fecho");
    let theirs = browser.to_source(&start).await;
    let back = browser.choose(&theirs, "zhangsan").await;
    assert!(back.starts_with(&address), "{back}");
    // Each finds its own login, also where the answer names both.
    let (_, state) = back.split_once("state=").unwrap();
    let state = state.split('&').next().unwrap();
    let both = format!("{address}?state={flow}&RelayState={flow}&assertion=lisi");
    let page = browser.clone().follow(&both).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let crossed = format!("{address}?state={flow}&RelayState={state}&assertion=wangwu&code=1");
    let page = browser.clone().follow(&crossed).await;
    assert_eq!(page.cause(), Some(Cause::LoginForged), "{}", page.url);
    let page = browser.follow(&back).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(source.asked(), ["lisi"]);
}

#[tokio::test]
async fn a_wrong_answer_says_nothing_of_a_right_one_in_the_same_login() {
    let source = TestSource::returning(by("state", CallbackMethod::Get));
    let menshen = start_menshen(&source).await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_of(&mut browser, HOME).await;
    let at = |more: &str| format!("{OWN}/callback/{ID}?state={flow}&{more}");
    for wrong in ["assertion=wrong", "assertion=wrong&code=1", "code=1"] {
        let answer = browser.clone().visit(&at(wrong)).await;
        assert_eq!(answer.cause(), Some(Cause::BadAnswer), "{wrong}");
    }
    let page = browser.clone().follow(&at("assertion=lisi&code=1")).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    // The order says nothing: it is the same answer.
    let page = browser.follow(&at("code=1&assertion=lisi")).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(source.asked(), ["wrong", "wrong", "lisi"]);
}
