//! `menshen check` warns of certificates that are expired, that expire soon, or that are for other hosts.

use std::time::Duration;

use menshen::clock::Timestamp;

use super::parse;
use crate::tls::{write_certificate, write_certificate_until};
use crate::upstream::TempFolder;

const DAY: Duration = Duration::from_secs(86_400);

/// The warnings of a site with TLS and these routes: key and text.
fn warnings(folder: &TempFolder, more: &str, now: Timestamp) -> Vec<(String, String)> {
    let path = |name: &str| folder.path(name).display().to_string();
    let text = format!(
        "[server]\nexternal_url = 'https://oa.corp.example'\nlisten = ['127.0.0.1:0']\n[server.tls]\n\
         certificate = '{}'\nkey = '{}'\n{more}",
        path("oa.pem"),
        path("oa.key")
    );
    let found = parse(&text).certificate_warnings(now).into_iter();
    found
        .map(|warning| (warning.key, warning.text.to_string()))
        .collect()
}

#[test]
fn a_certificate_that_expires_is_warned_of_thirty_days_before() {
    let folder = TempFolder::new();
    let until = Timestamp::of_utc_date(2026, 12, 31).unwrap();
    write_certificate_until(&folder, "oa", &["oa.corp.example"], (2026, 12, 31));
    let before = |days: u32| Timestamp::from_unix_s(until.unix_s() - i64::from(days) * 86_400);
    assert_eq!(warnings(&folder, "", before(31)), []);
    for (now, words) in [
        (before(29), "expires on 2026-12-31, 29 days from now"),
        (until.plus(DAY), "expired on 2026-12-31"),
        (before(3650), "not valid before"),
    ] {
        let found = warnings(&folder, "", now);
        let [(key, text)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(key, "server.tls.certificate");
        assert!(text.contains(words), "{text}");
    }
    write_certificate(&folder, "new", &["oa.corp.example"]);
    let path = |name: &str| folder.path(name).display().to_string();
    let more = format!(
        "[[server.tls.more]]\ncertificate = '{}'\nkey = '{}'\n[[server.tls.more]]\ncertificate = '{}'\n\
         key = '{}'\n",
        path("new.pem"),
        path("new.key"),
        path("oa.pem"),
        path("oa.key")
    );
    let found = warnings(&folder, &more, until).into_iter();
    let keys: Vec<_> = found.map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        ["server.tls.certificate", "server.tls.more[1].certificate"]
    );
}

#[test]
fn a_host_without_a_certificate_is_warned_of() {
    let folder = TempFolder::new();
    write_certificate(&folder, "oa", &["oa.corp.example", "*.apps.corp.example"]);
    let now = Timestamp::of_utc_date(2026, 6, 1).unwrap();
    let route = |host: &str| format!("[[route]]\nname = '{host}'\nhost = '{host}'\n");
    let covered = [
        "oa.corp.example",
        "a.apps.corp.example:8443",
        "*.apps.corp.example",
    ];
    assert_eq!(warnings(&folder, &covered.map(route).concat(), now), []);
    let other = ["wiki.corp.example", "*.corp.example"];
    let found = warnings(&folder, &other.map(route).concat(), now);
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["route[0].host", "route[1].host"]);
    assert!(found[0].1.contains("is for wiki.corp.example"), "{found:?}");
    assert!(found[1].1.contains("is for *.corp.example"), "{found:?}");
    write_certificate(&folder, "oa", &["other.corp.example"]);
    let found = warnings(&folder, "", now);
    assert_eq!(found[0].0, "server.external_url", "{found:?}");
}
