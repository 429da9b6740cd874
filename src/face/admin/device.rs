//! The device of a session in a few words: `Chrome on Windows`.

/// What a User-Agent contains, and the name of the browser or application. The first match counts, because
/// most browsers also name those whose engine they use.
const BROWSERS: [(&str, &str); 12] = [
    ("wxwork/", "WeCom"),
    ("micromessenger/", "WeChat"),
    ("dingtalk", "DingTalk"),
    ("lark/", "Lark"),
    ("qing/", "Yunzhijia"),
    ("edg", "Edge"),
    ("opr/", "Opera"),
    ("firefox/", "Firefox"),
    ("fxios/", "Firefox"),
    ("crios/", "Chrome"),
    ("chrome/", "Chrome"),
    ("safari/", "Safari"),
];

/// What a User-Agent contains, and the name of the system. Android devices name Linux, too.
const SYSTEMS: [(&str, &str); 8] = [
    ("openharmony", "HarmonyOS"),
    ("android", "Android"),
    ("iphone", "iPhone"),
    ("ipad", "iPad"),
    ("windows", "Windows"),
    ("mac os x", "macOS"),
    ("cros ", "ChromeOS"),
    ("linux", "Linux"),
];

/// The longest name of an unknown program, in characters.
const PROGRAM_CHARS_MAX: usize = 40;

/// The browser and the system that a User-Agent names, or the program at its beginning. Anybody can send any
/// User-Agent.
pub(super) fn device(user_agent: &str) -> String {
    let lower_case = user_agent.to_ascii_lowercase();
    let find = |known: &[(&str, &'static str)]| {
        let found = known.iter().find(|(part, _)| lower_case.contains(part));
        found.map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => {
            let program = user_agent.split(['/', ' ']).next().unwrap_or_default();
            program.chars().take(PROGRAM_CHARS_MAX).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn a_device_is_named_by_browser_and_system() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/130.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; V2241A) AppleWebKit/537.36 Chrome/116.0 Mobile \
                 Safari/537.36 MicroMessenger/7.0.1 wxwork/4.1.28",
                "WeCom on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 \
                 Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:130.0) Gecko/20100101 Firefox/130.0",
                "Firefox on macOS",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/109.0 Safari/537.36 \
                 dingtalk-win/1.0.0 nw(0.14.7) DingTalk(7.0.40-Release.6019103)",
                "DingTalk on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; V2241A) Version/4.0 Chrome/116.0 Mobile \
                 Safari/537.36 Qing/0.9.0; Android14; vivo; V2241A",
                "Yunzhijia on Android",
            ),
            ("curl/8.9.1", "curl"),
            ("", ""),
        ] {
            assert_eq!(device(user_agent), expected, "{user_agent}");
        }
        assert_eq!(device(&"x".repeat(200)).len(), 40);
    }
}
