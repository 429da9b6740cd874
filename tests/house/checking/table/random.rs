//! Every face gives the same verdict for random requests.

use super::*;
use proptest::prelude::*;
use tokio::runtime::Runtime;

fn arbitrary_request() -> impl Strategy<Value = OriginalRequest> {
    let path = prop_oneof![
        "/(app|finance|hours|public|api|)(/[a-z%;.0-9]{0,6}){0,3}",
        r"/[\x21-\x7e]{0,24}",
    ];
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "OPTIONS", "DELETE", "QUERY"]);
    let host = prop::sample::select(vec![
        "sso.test",
        "SSO.test.",
        "sso.test:80",
        "sso.test:8443",
        "a.apps.test",
        "x",
        "sso.test:0",
    ]);
    let names = prop::sample::select(vec![
        "Accept",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Dest",
        "X-Requested-With",
        "Origin",
        "Cookie",
        "X-Forwarded-User",
        "x_forwarded_user",
        "X-Auth-Request-Groups",
        "Authorization",
        "X-Remote-User",
        "X-HTTP-Method-Override",
    ]);
    let values = prop::sample::select(vec![
        "text/html",
        "navigate",
        "document",
        "iframe",
        "boss",
        "menshen=x",
        "menshen=x; menshen=y",
        "Bearer x",
        "a",
        "",
    ]);
    let headers = prop::collection::vec((names, values), 0..6);
    (method, host, path, headers, any::<bool>()).prop_map(|(method, host, target, headers, far)| {
        let original = OriginalRequest {
            method: method.to_owned(),
            host: host.to_owned(),
            client: if far { "198.51.100.1" } else { "192.0.2.7" },
            ..OriginalRequest::get(&target)
        };
        let add =
            |original: OriginalRequest, (name, value): (&str, &str)| original.header(name, value);
        headers.into_iter().fold(original, add)
    })
}

#[test]
fn the_faces_agree_on_random_requests() {
    let runtime = Runtime::new().unwrap();
    let (faces, lisi) = runtime.block_on(async {
        let faces = Faces::start().await;
        let lisi = session_cookie_of(&faces.menshen, "lisi").await;
        (faces, lisi)
    });
    let at = faces.menshen.address();
    let config = ProptestConfig {
        cases: 300,
        ..ProptestConfig::default()
    };
    proptest!(config, |(original in arbitrary_request(), has_session in any::<bool>())| {
        // menshen's own pages are excluded: only the proxy serves them.
        prop_assume!(!original.target.starts_with(b"/.menshen"));
        let original = if has_session { with_session(original, &lisi) } else { original };
        runtime.block_on(async {
            let proxy = original.send_to(Face::Proxy, at).await;
            for face in Face::ALL {
                let response = original.send_to(face, at).await;
                assert_eq!(response.verdict, proxy.verdict, "{face:?} {original:?} {:?}", response.answer);
                // The response to HEAD has no body in which the mirror could return the headers.
                if original.method != "HEAD" {
                    assert_eq!(response.identity, proxy.identity, "{face:?} {original:?}");
                }
            }
        });
    });
}
