//! No secret of the settings and no code is logged, shown or stored.

use super::code_source::{CodeSource, Who};
use crate::browser::Browser;
use crate::logging_in::query_parameter;
use crate::records::Records;
use crate::stores::TempDir;

#[tokio::test]
async fn no_secret_and_no_code_is_logged_shown_or_stored() {
    let log = Records::process_log();
    for source in CodeSource::all().await {
        let what = source.name();
        let dir = TempDir::new();
        let menshen = source.setup().store(&dir.url()).access_log().start().await;
        let mut hidden: Vec<_> = source.settings_secrets();
        let mut codes = Vec::new();
        let mut pages = Vec::new();
        for is_refused in [false, true, false] {
            let mut browser = Browser::new(&menshen);
            let callback = source.callback(&mut browser, Who::Employee).await;
            let code = query_parameter(&callback, source.code_parameter()).unwrap();
            let path = is_refused.then(|| {
                let message = format!("wrong {} and {code} here", hidden[0]);
                source.refuse_with(&message)
            });
            let page = browser.follow(&callback).await;
            pages.push(format!("{:?}{}", page.answer.headers, page.answer.text()));
            if let Some(path) = path {
                assert!(
                    page.cause().is_some() || !page.url.contains("/echo"),
                    "{what}"
                );
                source.restore(&path);
            }
            codes.push(code);
        }
        menshen.audit();
        let files = std::fs::read_dir(dir.file().parent().unwrap()).unwrap();
        let stored: Vec<u8> = files
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect();
        let stored = String::from_utf8_lossy(&stored).into_owned();
        assert!(stored.contains("zhangsan"), "{what}: the store was written");
        assert!(menshen.records.text().contains("zhangsan"), "{what}");
        hidden.extend(codes.iter().map(String::as_str));
        assert!(hidden.len() >= 4, "{what}");
        for (name, output) in [
            ("records", menshen.records.text()),
            ("log", log.text()),
            ("pages", pages.concat()),
            ("site", format!("{:?}", menshen.running.live().site())),
            ("store", stored),
        ] {
            for secret in &hidden {
                assert!(!output.contains(secret), "{what}: {name} has {secret}");
            }
        }
    }
}
