//! Several nodes share the people of the store: what an administrator changes through one holds on all, for
//! sessions and access tokens that go on.

use std::net::SocketAddr;

use menshen::run::Running;

use super::*;
use crate::admin::send_request_to;
use crate::wire::Answer;

/// A route whose answers say what the application received, also to programs.
const ECHO: &str = "[[route]]\nname = 'echo'\nhost = 'sso.test'\npath = '/echo'\nupstream = ['{app}']\n\
     access_tokens = true\n";

/// Two nodes at one database.
struct Nodes {
    first: Menshen,
    second: Running,
    _dir: TempDir,
}

impl Nodes {
    async fn start() -> Self {
        let dir = TempDir::new();
        let first = stored_setup("")
            .more_routes(ECHO)
            .store(&dir.url())
            .start()
            .await;
        let second = run(&first.setup.text(&first.wecom, &first.app), &first.clock).await;
        Self {
            first,
            second,
            _dir: dir,
        }
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [self.first.address(), self.second.addresses()[0]]
    }

    /// Sends a request to the admin API of a node.
    async fn must(&self, node: usize, method: &str, path: &str, body: Value) {
        let headers = format!("Authorization: Bearer {TOKEN}\r\n");
        let (path, body) = (format!("{PEOPLE}{path}"), body.to_string());
        let answer = match node {
            0 => send_request(&self.first, method, &path, &headers, &body).await,
            _ => {
                let address = self.second.admin_address().unwrap();
                send_request_to(address, method, &path, &headers, &body).await
            }
        };
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    }
}

/// A request with the session of a browser, and one with an access token that was made in it.
async fn requests_of(mut browser: Browser) -> [TestRequest; 2] {
    let token = access_tokens::make_token(&mut browser, "laptop", &[]).await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    let authorization = access_tokens::basic("zhangsan", &token);
    [
        TestRequest::get("/echo").session(&cookie),
        TestRequest::get("/echo").header("Authorization", &authorization),
    ]
}

fn has_groups(groups: &str) -> impl Fn(&Answer) -> bool {
    move |answer| answer.status == 200 && answer.echoed("x-forwarded-groups") == [groups]
}

/// Waits until every node says of each request that its person is in these groups.
async fn all_have_groups(nodes: &Nodes, requests: &[TestRequest], groups: &str) {
    for address in nodes.addresses() {
        for request in requests {
            repeat_until(request, address, has_groups(groups)).await;
        }
    }
}

#[tokio::test]
async fn changed_fields_hold_on_every_node_for_sessions_and_access_tokens() {
    let nodes = Nodes::start().await;
    add(&nodes.first, "zhangsan", json!({ "groups": ["admins"] })).await;
    let browser = Browser::at(nodes.addresses()[1]);
    let requests = requests_of(signed_in(browser, "zhangsan", OLD).await).await;
    all_have_groups(&nodes, &requests, "admins").await;
    // Each node has changes of its own and of the other.
    for (node, groups) in [(0, "left"), (1, "back"), (1, "ops"), (0, "it")] {
        let change = json!({ "groups": [groups] });
        nodes.must(node, "PATCH", "/zhangsan", change).await;
        // Where it was changed, it holds when that is answered.
        for request in &requests {
            let answer = request.send_to(nodes.addresses()[node]).await;
            assert!(has_groups(groups)(&answer), "{groups}: {}", answer.text());
        }
        all_have_groups(&nodes, &requests, groups).await;
    }
    // Somebody who signs in meanwhile has the same.
    let here = signed_in(Browser::new(&nodes.first), "zhangsan", OLD).await;
    all_have_groups(&nodes, &requests_of(here).await, "it").await;
}

#[tokio::test]
async fn a_group_that_one_node_gave_is_gone_when_another_one_takes_it() {
    let nodes = Nodes::start().await;
    add(&nodes.first, "zhangsan", json!({ "groups": ["staff"] })).await;
    let browser = Browser::at(nodes.addresses()[0]);
    let requests = requests_of(signed_in(browser, "zhangsan", OLD).await).await;
    all_have_groups(&nodes, &requests, "staff").await;
    // Neither waits for what the other one read of the log.
    let admins = json!({ "groups": ["admins"] });
    nodes.must(1, "PATCH", "/zhangsan", admins).await;
    let staff = json!({ "groups": ["staff"] });
    nodes.must(0, "PATCH", "/zhangsan", staff).await;
    all_have_groups(&nodes, &requests, "staff").await;
    // Nor does the database have it.
    let text = nodes.first.setup.text(&nodes.first.wecom, &nodes.first.app);
    let third = run(&text, &nodes.first.clock).await;
    for request in &requests {
        let answer = request.send_to(third.addresses()[0]).await;
        assert!(has_groups("staff")(&answer), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_import_changes_fields_on_every_node() {
    let nodes = Nodes::start().await;
    let mut all = Vec::new();
    for login in ["zhangsan", "lisi"] {
        add(&nodes.first, login, json!({ "groups": ["admins"] })).await;
        let browser = signed_in(Browser::at(nodes.addresses()[1]), login, OLD).await;
        let cookie = &browser.cookie("menshen").unwrap().value;
        all.push(TestRequest::get("/echo").session(cookie));
    }
    all_have_groups(&nodes, &all, "admins").await;
    let csv = "login,groups\nlisi,ops\nzhangsan,staff\nsomebody,it\n";
    // All or nobody: somebody is new and has no password.
    let (status, _) = call(&nodes.first, "POST", PEOPLE, &json!(csv)).await;
    assert_eq!(status, 400);
    all_have_groups(&nodes, &all, "admins").await;
    let csv = csv.replace("somebody,it\n", "");
    let (status, answer) = call(&nodes.first, "POST", PEOPLE, &json!(csv)).await;
    assert_eq!((status, &answer["updated"]), (200, &json!(2)), "{answer}");
    for (request, groups) in all.iter().zip(["staff", "ops"]) {
        let answer = request.send(&nodes.first).await;
        assert!(has_groups(groups)(&answer), "{groups}: {}", answer.text());
        all_have_groups(&nodes, std::slice::from_ref(request), groups).await;
    }
}

#[tokio::test]
async fn whoever_cannot_be_mapped_any_more_is_signed_out_everywhere() {
    let dir = TempDir::new();
    let mapping = "[connector.house.mapping]\nlogin = \"profile.staff\"\n";
    let first = stored_setup(mapping).store(&dir.url()).start().await;
    let second = run(&first.setup.text(&first.wecom, &first.app), &first.clock).await;
    let fields = json!({ "groups": ["admins"], "attributes": { "staff": "z7" } });
    add(&first, "zhangsan", fields).await;
    let browser = signed_in(Browser::at(second.addresses()[0]), "zhangsan", OLD).await;
    let cookie = &browser.cookie("menshen").unwrap().value;
    let request = TestRequest::get("/echo").session(cookie);
    repeat_until(&request, second.addresses()[0], has_groups("admins")).await;
    let unnamed = json!({ "attributes": { "staff": null } });
    let answer = must(&first, "PATCH", "/zhangsan", unnamed).await;
    assert_eq!(answer["ended"]["sessions"], json!(1), "{answer}");
    let is_out = |answer: &Answer| answer.status == 401;
    repeat_until(&request, second.addresses()[0], is_out).await;
}
