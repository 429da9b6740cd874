//! `menshen people sync`: text, JSON and exit codes.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use super::serving::Program;
use super::{ConfigFolder, run_menshen, text};
use crate::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};

fn config(folder: &ConfigFolder, wecom: &WeCom) -> PathBuf {
    let socket = folder.0.join("admin.sock").display().to_string();
    folder.config(&format!(
        "listen = ['127.0.0.1:0']\n[admin]\nlisten = 'unix:{socket}'\n\
         token = 'a-token-that-only-this-test-knows'\n\
         [connector.corp.wecom]\ncorp_id = '{CORP_ID}'\nagent_id = {AGENT_ID}\n\
         secret = '{SECRET}'\napi_base = '{}'\n",
        wecom.base_url()
    ))
}

async fn sync(config: &Path, arguments: &[&str]) -> Output {
    let arguments: Vec<_> = arguments.iter().map(|one| (*one).to_owned()).collect();
    let config = config.to_str().unwrap().to_owned();
    // The simulated WeCom answers meanwhile.
    let run = move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        run_menshen(&[&["people", "sync"], &arguments[..], &["-c", &config]].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn report(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_sync_reports_as_text_and_json_with_exit_codes() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let folder = ConfigFolder::new("sync");
    let config = config(&folder, &wecom);
    let (_program, _) = Program::run(&config).await;

    let dry_run = sync(&config, &["corp", "--dry-run"]).await;
    assert_eq!(dry_run.status.code(), Some(0), "{dry_run:?}");
    let shown = text(&dry_run.stdout);
    assert!(shown.contains("create person zhangsan"), "{shown}");
    assert!(shown.contains("3 created"), "{shown}");
    assert!(shown.contains("(nothing was changed)"), "{shown}");

    let first = report(&sync(&config, &["corp", "--json"]).await, 0);
    assert_eq!(first["people"]["created"], 3, "{first}");
    assert_eq!(first["departments"]["created"], 9, "{first}");
    let second = sync(&config, &["corp"]).await;
    let shown = text(&second.stdout);
    assert!(
        shown.contains("4 listed, 0 created, 0 updated, 0 closed"),
        "{shown}"
    );

    wecom.member("lisi", |one| one.name = "李思".to_owned());
    let person = report(
        &sync(&config, &["corp", "--person", "lisi", "--json"]).await,
        0,
    );
    assert_eq!(person["people"]["updated"], 1, "{person}");
    let department = ["corp", "--department", "5", "--json"];
    let department = report(&sync(&config, &department).await, 0);
    assert_eq!(department["people"]["listed"], 1, "{department}");

    // One of three is more than ten per cent.
    wecom.delete_member("zhangsan");
    let refused = report(&sync(&config, &["corp", "--json"]).await, 4);
    assert_eq!(refused["outcome"], "refused", "{refused}");
    let forced = report(&sync(&config, &["corp", "--force", "--json"]).await, 0);
    assert_eq!(forced["people"]["closed"], 1, "{forced}");

    for (arguments, code, words) in [
        (vec!["corpse"], 1, "no connector corpse"),
        (vec!["corp", "--department", "4711"], 1, "department 4711"),
        (vec!["corp", "--person", "nobody"], 1, "nobody"),
        (
            vec!["corp", "--department", "1", "--person", "x"],
            2,
            "cannot be used",
        ),
        (vec![], 2, "required"),
    ] {
        let output = sync(&config, &arguments).await;
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {shown}");
        assert!(shown.contains(words), "{arguments:?}: {shown}");
    }

    wecom.fail("/cgi-bin/user/list", 60020, usize::MAX);
    let failed = sync(&config, &["corp"]).await;
    assert_eq!(failed.status.code(), Some(4), "{failed:?}");
    assert!(text(&failed.stderr).contains("60020"), "{failed:?}");
    assert_eq!(json!(null), first["changes"]);
}
