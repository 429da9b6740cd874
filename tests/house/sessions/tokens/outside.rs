//! The whole way from the outside: a configuration, an OAuth 2 provider, a browser, requests.

use url::Url;

use super::super::status;
use crate::browser::Browser;
use crate::house::{HOME, House};
use crate::upstream::{Asked, Reply, Upstream};

use super::*;

/// A provider of the book that rotates its refresh tokens, over HTTP.
struct Idp {
    web: Upstream,
    state: Arc<Mutex<Said>>,
}

#[derive(Debug, Default)]
struct Said {
    issued: usize,
    refreshes: usize,
    reused: usize,
    outsider: bool,
    away: bool,
    gone: bool,
}

impl Idp {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(Said::default()));
        let shared = Arc::clone(&state);
        let web = Upstream::start(move |asked| answer(&mut shared.lock().unwrap(), asked)).await;
        Self { web, state }
    }

    fn set(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.state.lock().unwrap());
    }

    fn refreshes(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.refreshes, state.reused)
    }

    fn plan(&self) -> Plan {
        let url = self.web.url();
        let more = format!(
            "[connector.idp]\nauto_login = 'never'\n\
             [connector.idp.mapping]\nlogin = 'profile.login'\ngroups = 'profile.groups'\n\
             [connector.idp.oauth2]\nclient_id = 'menshen'\nclient_secret = 'hunter2'\n\
             authorize_url = '{url}/authorize'\ntoken_url = '{url}/token'\n\
             profile_url = '{url}/me'\nsubject = 'profile.id'\n"
        );
        Plan::default().more(&more).routes(ROUTES)
    }
}

fn answer(state: &mut Said, asked: &Asked) -> Reply {
    let message = &asked.message;
    let target = Url::parse("http://idp.test")
        .unwrap()
        .join(message.target())
        .unwrap();
    let form: Vec<_> = url::form_urlencoded::parse(&message.body)
        .into_owned()
        .collect();
    let field = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    if state.away {
        return Reply::Close(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n".to_vec());
    }
    match target.path() {
        "/token" => {
            if field("grant_type") == "refresh_token" {
                state.refreshes += 1;
                let current = format!("refresh-{}", state.issued);
                if state.gone || field("refresh_token") != current {
                    state.reused += usize::from(!state.gone);
                    return json_reply(400, &json!({ "error": "invalid_grant" }));
                }
            }
            state.issued += 1;
            let n = state.issued;
            json_reply(
                200,
                &json!({
                    "token_type": "Bearer", "expires_in": 3600,
                    "access_token": format!("access-{n}"), "refresh_token": format!("refresh-{n}"),
                }),
            )
        }
        "/me" => {
            let groups: &[&str] = if state.outsider { &[] } else { &["财务部"] };
            json_reply(
                200,
                &json!({ "id": "zhang", "login": "zhangsan", "groups": groups }),
            )
        }
        other => panic!("{other}"),
    }
}

fn json_reply(status: u16, body: &serde_json::Value) -> Reply {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Reply::Keep([head.into_bytes(), body.into_bytes()].concat())
}

/// The cookie of 张三, who logs in through the provider.
async fn signed_in(house: &House) -> String {
    let mut browser = Browser::new(house);
    let start = format!("{HOME}/.menshen/start?connector=idp&rd=%2Fecho");
    let page = browser
        .follow_until(&start, |next| next.contains("/authorize?"))
        .await;
    let asked = Url::parse(&page.url).unwrap();
    let of = |name: &str| {
        let found = asked.query_pairs().find(|(key, _)| key == name);
        found.unwrap().1.into_owned()
    };
    let mut back = Url::parse(&of("redirect_uri")).unwrap();
    back.query_pairs_mut()
        .append_pair("code", "anything")
        .append_pair("state", &of("state"));
    let page = browser.follow(back.as_str()).await;
    let cookie = browser.cookie("menshen");
    let cookie = cookie.unwrap_or_else(|| panic!("{}: {}", page.url, page.answer.text()));
    cookie.value.clone()
}

async fn crowd(house: &House, path: &str, cookie: &str) -> Vec<Answer> {
    let (ask, address) = (Ask::get(path).session(cookie), house.address());
    let one = |_| {
        let ask = ask.clone();
        tokio::spawn(async move { ask.at(address).await })
    };
    let asked: Vec<_> = (0..100).map(one).collect();
    let mut answers = Vec::new();
    for one in asked {
        answers.push(one.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_requests_at_refresh_time_spend_one_token_at_the_provider() {
    let idp = Idp::start().await;
    let house = idp.plan().start().await;
    let cookie = signed_in(&house).await;
    for (round, pass) in [SOON, LIFETIME].into_iter().enumerate() {
        house.advance(pass);
        let answers = crowd(&house, "/echo", &cookie).await;
        let old = [name(round + 1), name(round + 2)];
        for answer in answers {
            assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"]);
            assert!(old.contains(&access(&answer)), "{}", answer.text());
        }
        let ask = Ask::get("/echo").session(&cookie);
        let renewed = async || access(&ask.of(&house).await) == name(round + 2);
        eventually("renewed", renewed).await;
        for answer in crowd(&house, "/echo", &cookie).await {
            assert_eq!(access(&answer), name(round + 2));
        }
        assert_eq!(idp.refreshes(), (round + 1, 0));
    }
}

#[tokio::test]
async fn a_group_the_provider_took_away_counts_on_the_next_request() {
    let idp = Idp::start().await;
    let house = idp.plan().start().await;
    let cookie = signed_in(&house).await;
    let finance = Ask::get("/finance/echo").session(&cookie);
    assert_eq!(finance.of(&house).await.status, 200);
    idp.set(|state| state.outsider = true);
    house.advance(LIFETIME);
    for answer in crowd(&house, "/finance/echo", &cookie).await {
        assert_eq!(answer.status, 403);
    }
    assert_eq!(status(&house, &cookie).await, 200);
    assert_eq!(idp.refreshes(), (1, 0));
}

#[tokio::test]
async fn a_provider_that_is_away_ends_nothing_and_one_that_refuses_ends_the_session() {
    let idp = Idp::start().await;
    let house = idp.plan().start().await;
    let cookie = signed_in(&house).await;
    idp.set(|state| state.away = true);
    house.advance(LIFETIME);
    let ask = Ask::get("/echo").session(&cookie);
    assert_eq!(access(&ask.of(&house).await), None);
    idp.set(|state| (state.away, state.gone) = (false, true));
    house.advance(5 * SECOND);
    assert_eq!(status(&house, &cookie).await, 401);
    let store = &house.running.house().shared().store;
    assert_eq!(store.sessions(None, 9).await.unwrap().len(), 0);
    let audit = house.audit();
    let gone = audit.iter().filter(|line| line["event"] == "refresh-gone");
    assert_eq!(gone.count(), 1);
}
