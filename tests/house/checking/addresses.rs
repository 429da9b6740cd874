//! WebDAV and Subversion name further addresses in `Destination` and `If`: they are judged as the
//! request's own is, through every face.

use super::faces::{Face, Original, Verdict};
use super::house_with;
use crate::asking::signed_in;
use crate::mirror::Mirror;

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]
[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{mirror}"]
allow = "'财务部' in user.departments"
[[route]]
name = "drafts"
host = "sso.test"
path = "/drafts"
upstream = ["{mirror}"]
allow = "!request.path.startsWith('/drafts/final') && request.method != 'COPY'"
[[route]]
name = "other"
host = "sso.test"
path = "/other"
upstream = ["http://127.0.0.1:9"]
[[route]]
name = "stripped"
host = "sso.test"
path = "/stripped"
strip_path = true
upstream = ["{mirror}"]
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]
"#;

/// Addresses, and whether 张三 (not of 财务部) and 李四 (of it) may name them in a request to `/a/b`.
const ADDRESSES: [(&str, bool, bool); 37] = [
    ("/a/c", true, true),
    ("/a/%E6%96%87", true, true),
    ("/a/\u{6587}", true, true),
    ("/a/c?d", true, true),
    ("c", true, true),
    ("http://sso.test/a/c", true, true),
    ("https://SSO.test./a/c", true, true),
    ("http://sso.test:80/a/c", true, true),
    ("/finance/c", false, true),
    ("/finance", false, true),
    ("http://sso.test/finance/c", false, true),
    ("https://sso.test/finance/c", false, true),
    ("HTTP://SSO.TEST:80/finance/c", false, true),
    // Readers differ, or could.
    ("/%66inance/c", false, false),
    ("/finance%2fc", false, false),
    ("/a/../finance/c", false, false),
    ("../finance/c", false, false),
    ("/a/%2e%2e/finance/c", false, false),
    ("//sso.test/finance/c", false, false),
    ("//finance/c", false, false),
    ("http:/finance/c", false, false),
    ("http:finance", false, false),
    ("http://sso.test?/finance", false, false),
    ("http://zhangsan@sso.test/a/c", false, false),
    ("http://sso.test\\@other.test/a/c", false, false),
    ("/a/c#d", false, false),
    ("/a c", false, false),
    ("", false, false),
    ("ftp://sso.test/a/c", false, false),
    ("/a/%zz", false, false),
    ("/a/%00", false, false),
    // Another application, or none.
    ("/other/c", false, false),
    ("/stripped/c", false, false),
    ("http://no.test/a/c", false, false),
    ("http://sso.test/.menshen/c", false, false),
    // A rule on the path judges it, too.
    ("/drafts/c", true, true),
    ("/drafts/final", false, false),
];

#[tokio::test]
async fn a_destination_is_judged_as_the_address_itself_is() {
    let mirror = Mirror::start().await;
    let house = house_with(ROUTES, &mirror).await;
    let people = [
        signed_in(&house, "zhangsan").await,
        signed_in(&house, "lisi").await,
    ];
    for (address, zhang, li) in ADDRESSES {
        for (cookie, may) in people.iter().zip([zhang, li]) {
            let original = |method: &str| {
                let cookie = format!("menshen={cookie}");
                Original::get("/a/b")
                    .method(method)
                    .header("Cookie", &cookie)
            };
            let list = format!("<{address}> (<urn:uuid:1> [\"x\"]) (Not <DAV:no-lock>)");
            let mut asked = vec![
                original("MOVE").header("Destination", address),
                original("PUT").header("If", &list),
            ];
            // The rest is the same for whoever may not name it.
            if zhang != li || zhang {
                let second = format!("</a/b> (<urn:uuid:1>) {list}");
                asked.push(original("DELETE").header("If", &second));
                let posted = original("POST").header("X-HTTP-Method-Override", "MOVE");
                asked.push(posted.header("destination", address));
            }
            if address != "/drafts/c" {
                asked.push(original("COPY").header("Destination", address));
            }
            for original in asked {
                for face in Face::ALL {
                    let heard = original.heard(face, house.address()).await;
                    let said = heard.verdict == Verdict::Allow;
                    assert_eq!(said, may, "{face:?} {original:?}: {:?}", heard.answer);
                    let login = heard.verdict == Verdict::Login;
                    assert!(!login, "{face:?} {original:?}: {:?}", heard.answer);
                }
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_comes_twice_or_in_no_form_is_refused() {
    let mirror = Mirror::start().await;
    let house = house_with(ROUTES, &mirror).await;
    let lines: [&[(&str, &str)]; 8] = [
        &[("Destination", "/public/a"), ("Destination", "/finance")],
        &[("Destination", "/public/a"), ("Destination", "/public/a")],
        &[("If", "</public/a> (<x>)"), ("If", "</finance> (<x>)")],
        &[("If", "/finance")],
        &[("If", "</finance (<x>)")],
        &[("If", "</public/a> (<x>")],
        &[("If", "</public/a> (maybe <x>)")],
        &[("If", "</public/a>, </finance>")],
    ];
    for headers in lines {
        for face in Face::ALL {
            let mut original = Original::get("/public/b").method("MOVE");
            for (name, value) in headers {
                original = original.header(name, value);
            }
            let heard = original.heard(face, house.address()).await;
            assert_eq!(heard.verdict, Verdict::Deny, "{face:?} {headers:?}");
        }
    }
    // Where the methods of HTTP itself are used the name means something else, if anything.
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let original = Original::get("/public/b").method(method);
        let original = original.header("Destination", "queue://orders");
        for face in Face::ALL {
            let heard = original.heard(face, house.address()).await;
            assert_eq!(heard.verdict, Verdict::Allow, "{face:?} {method}");
        }
    }
    // Nobody has to log in to go where everybody may, and does elsewhere.
    for (address, verdict) in [
        ("/public/c", Verdict::Allow),
        ("/a/c", Verdict::Login),
        ("/finance", Verdict::Login),
    ] {
        let original = Original::get("/public/b").method("MOVE");
        let original = original.header("Destination", address);
        for face in Face::ALL {
            let heard = original.heard(face, house.address()).await;
            assert_eq!(heard.verdict, verdict, "{face:?} {address}");
        }
    }
}
