//! Removes `SameSite=None` for browsers that treat it as `Strict` or refuse the cookie. They send a
//! cookie without the attribute in cross-site requests, too.

use std::borrow::Cow;

const NONE: &str = "; SameSite=None";

/// Removes the attribute if this user agent misinterprets it.
pub fn adapt_to_user_agent<'a>(cookie: &'a str, user_agent: &str) -> Cow<'a, str> {
    match cookie.contains(NONE) && misinterprets_none(user_agent) {
        true => Cow::Owned(cookie.replace(NONE, "")),
        false => Cow::Borrowed(cookie),
    }
}

/// Recognizes the browsers of Chromium's list of clients that are incompatible with `SameSite=None`.
fn misinterprets_none(agent: &str) -> bool {
    let has = |part: &str| agent.contains(part);
    // All browsers on iOS 12 use its WebKit.
    if (has("iPhone") || has("iPad") || has("iPod")) && has("OS 12_") {
        return true;
    }
    if let Some(version) = version_after(agent, "UCBrowser/") {
        return version < [12, 13, 2];
    }
    let chromium = version_after(agent, "Chrome/").or_else(|| version_after(agent, "Chromium/"));
    match chromium {
        Some([major, ..]) => (51..=66).contains(&major),
        // Safari and embedded WebKit views.
        None => {
            let webkit = has("Safari/") || agent.ends_with("(KHTML, like Gecko)");
            has("Mac OS X 10_14") && webkit
        }
    }
}

/// The first three numbers of a version; missing ones are 0.
fn version_after(agent: &str, name: &str) -> Option<[u32; 3]> {
    let (_, rest) = agent.split_once(name)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut version = [0; 3];
    let numbers = rest[..end.unwrap_or(rest.len())].split('.');
    for (part, number) in version.iter_mut().zip(numbers) {
        *part = number.parse().unwrap_or(0);
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KHTML: &str = "(KHTML, like Gecko)";

    #[test]
    fn browsers_that_misinterpret_none_get_no_attribute() {
        for (agent, misinterprets) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 12_4_1 like Mac OS X) AppleWebKit/605.1.15 {} Mobile/15E148 wxwork/3.0",
                true,
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 12_0 like Mac OS X) AppleWebKit/605.1.15 {} Version/12.0 Mobile Safari/604.1",
                true,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 13_1 like Mac OS X) AppleWebKit/605.1.15 {} Version/13.0 Safari/604.1",
                false,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 {} Version/12.1 Safari/605.1.15",
                true,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 {}",
                true,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/537.36 {} Chrome/120.0.0.0 Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 {} Version/13.0 Safari/605.1.15",
                false,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 {} Chrome/50.0.2661.1 Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 {} Chrome/51.0.2704.1 Safari/537.36",
                true,
            ),
            (
                "Mozilla/5.0 (Linux; Android 8) AppleWebKit/537.36 {} Chrome/66.0.3359.1 Mobile Safari/537.36",
                true,
            ),
            (
                "Mozilla/5.0 (Linux; Android 8) AppleWebKit/537.36 {} Chrome/67.0.3396.1 Mobile Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 {} Chromium/60.0.1 Safari/537.36",
                true,
            ),
            (
                "Mozilla/5.0 (Linux; U; Android 9) AppleWebKit/537.36 {} Chrome/57.0.2987.108 UCBrowser/12.13.1.1189 Mobile",
                true,
            ),
            (
                "Mozilla/5.0 (Linux; U; Android 9) AppleWebKit/537.36 {} Chrome/57.0.2987.108 UCBrowser/12.13.2.1 Mobile",
                false,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                false,
            ),
            ("", false),
        ] {
            let agent = agent.replace("{}", KHTML);
            let adapted =
                adapt_to_user_agent("a=b; HttpOnly; SameSite=None; Secure; Path=/", &agent);
            assert_eq!(!adapted.contains("SameSite"), misinterprets, "{agent}");
            assert!(adapted.contains("; HttpOnly; ") && adapted.contains("; Secure; Path=/"));
        }
    }

    #[test]
    fn another_same_site_value_stays() {
        let iphone = "(iPhone; CPU iPhone OS 12_4 like Mac OS X)";
        assert_eq!(
            adapt_to_user_agent("a=b; SameSite=Lax", iphone),
            "a=b; SameSite=Lax"
        );
    }
}
