//! The service worker of `docs/applications.md` in Chromium: it answers from its cache, and leaves pages and
//! the paths of menshen alone.

use serde_json::{Value, json};

use super::super::demo::sign_in_as;
use super::super::processes::{Program, TempDir, free_ports};
use super::super::setup::{Menshen, Setup};
use super::super::webdriver::{Browser, BrowserOptions};
use super::super::wecom::{Options, WeCom};
use super::node::node;
use super::recipe::Recipe;

/// Serves the worker of the page, which counts at once, and the same page everywhere else.
const APPLICATION: &str = "require('node:http').createServer((request, response) => {
    const isWorker = request.url === '/worker.js';
    response.setHeader('Content-Type', isWorker ? 'text/javascript' : 'text/html');
    response.end(isWorker ? process.env.WORKER : '<p data-page>fresh</p>');
}).listen(process.env.PORT, '127.0.0.1');";

const AT_ONCE: &str = "addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
";

/// Registers the worker, and puts an old answer for each path into the cache that it reads.
const REGISTER: &str = "return navigator.serviceWorker.register('/worker.js').then(() =>
    new Promise((done) => {
        const look = () => navigator.serviceWorker.controller ? done(true) : setTimeout(look, 10);
        look(); })).then(() => caches.open('old')).then((cache) => Promise.all(
        ['/data', '/page', '/.menshen/userinfo'].map((path) => cache.put(path, new Response('old')))))
    .then(() => true)";

const SIGN_OUT: &str =
    "return fetch('/.menshen/sign_out', { method: 'POST' }).then((answer) => answer.status)";

async fn run(browser: &Browser, script: &str) -> Value {
    browser.script(script, json!([])).await
}

fn fetched(path: &str) -> String {
    format!("return fetch('{path}').then((answer) => answer.text())")
}

/// Starts the application on a free port.
async fn start_application(dir: &TempDir) -> (Program, u16) {
    let worker = Recipe::of_applications("Service workers").block("javascript");
    for _ in 0..5 {
        let port = free_ports(1);
        let mut command = node(dir.path(), port);
        command.env("WORKER", format!("{AT_ONCE}{worker}"));
        let mut program = Program::start("application", command.args(["-e", APPLICATION]));
        if program.listens(port).await {
            return (program, port);
        }
    }
    panic!("the application finds no port");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_service_worker_leaves_pages_and_menshen_alone() {
    let dir = TempDir::new();
    let (_program, port) = start_application(&dir).await;
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let rest = format!("[[route]]\nname = 'app'\nupstream = ['http://127.0.0.1:{port}']\n");
    let setup = Setup {
        rest: &rest,
        ..Setup::default()
    };
    let menshen = Menshen::start(&wecom, setup).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    let page = format!("{}/page", menshen.url);
    browser.open(&page).await;
    sign_in_as(&browser, "zhangsan").await;
    browser.reads("fresh").await;
    assert_eq!(run(&browser, REGISTER).await, true);
    // The worker answers what it has.
    assert_eq!(run(&browser, &fetched("/data")).await, "old");
    assert_eq!(
        run(&browser, &fetched("/style.css")).await,
        "<p data-page>fresh</p>"
    );
    let person = run(&browser, &fetched("/.menshen/userinfo")).await;
    assert!(person.as_str().unwrap().contains("zhangsan"), "{person}");
    browser.open(&page).await;
    browser.reads("fresh").await;
    assert_eq!(run(&browser, SIGN_OUT).await, 200);
    browser.open(&page).await;
    browser
        .until("the sign-in page", async || {
            browser.url().await.contains("/.menshen/sign_in")
        })
        .await;
}
