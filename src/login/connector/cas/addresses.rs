//! `Addresses`: the URLs of a CAS server, which follow from its settings.

use url::Url;

use super::config::{Config, Version};
use crate::setting::sends_in_clear_text;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The URLs of one CAS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) login: Url,
    pub(super) validate: Url,
    pub(super) logout: Url,
}

/// A setting that is not a usable URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressError {
    pub(super) key: &'static str,
    pub(super) message: Text,
    pub(super) help: Text,
}

impl AddressError {
    fn text(&self) -> Text {
        let Self { key, message, help } = self;
        text!("{key}: {message}: {help}", "{key}：{message:#}：{help:#}")
    }
}

error_of_text!(AddressError);

impl Addresses {
    pub(super) fn of(config: &Config) -> Result<Self, AddressError> {
        let base = base(config)?;
        let below = |path: &str| Url::parse(&format!("{base}{path}"));
        let address = |key, configured: &Option<Url>, path: &str| match configured {
            Some(url) => checked(key, url, config.allow_http).map(|()| url.clone()),
            None => below(path).map_err(|_| AddressError {
                key: "url",
                message: text!("this URL cannot be used", "这个 URL 无法使用"),
                help: text!(
                    "the base URL of the CAS server, such as https://sso.corp.example/cas",
                    "应为 CAS 服务器的基础 URL，例如 https://sso.corp.example/cas"
                ),
            }),
        };
        Ok(Self {
            login: address("login_url", &config.login_url, "/login")?,
            validate: address(
                "validate_url",
                &config.validate_url,
                validation_path(config),
            )?,
            logout: address("logout_url", &config.logout_url, "/logout")?,
        })
    }
}

/// The path at which the protocol validates tickets. Only two of the paths accept proxy tickets.
fn validation_path(config: &Config) -> &'static str {
    match (config.version, config.proxies.is_empty()) {
        (Version::V1, _) => "/validate",
        (Version::V2, true) => "/serviceValidate",
        (Version::V2, false) => "/proxyValidate",
        (Version::V3, true) => "/p3/serviceValidate",
        (Version::V3, false) => "/p3/proxyValidate",
    }
}

/// The base URL without a slash at its end, and without the `/login` that people copy from a browser.
fn base(config: &Config) -> Result<String, AddressError> {
    let url = &config.url;
    checked("url", url, config.allow_http)?;
    if url.query().is_some() {
        return Err(AddressError {
            key: "url",
            message: text!("it has a query", "带有查询参数"),
            help: text!(
                "paths are added to it: write it without ? and what follows",
                "后面要接路径：请去掉 ? 及其后的内容"
            ),
        });
    }
    let text = url.as_str().trim_end_matches('/');
    let text = text.strip_suffix("/login").unwrap_or(text);
    Ok(text.trim_end_matches('/').to_owned())
}

/// Requires https, or http on this machine, because who can change a response of a CAS server can sign in as
/// anybody; `allow_http` accepts that.
fn checked(key: &'static str, url: &Url, allow_http: bool) -> Result<(), AddressError> {
    let error = |message, help| AddressError { key, message, help };
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || has_credentials {
        let help = text!(
            "a URL with https:// and a host, without user and password",
            "应为带 https:// 和主机的 URL，不带用户名和密码"
        );
        return Err(error(
            text!("this URL cannot be used", "这个 URL 无法使用"),
            help,
        ));
    }
    if url.fragment().is_some() {
        return Err(error(
            text!("it has a fragment", "带有片段"),
            text!("remove # and what follows", "请去掉 # 及其后的内容"),
        ));
    }
    if sends_in_clear_text(url) && !allow_http {
        let message = text!(
            "over plain http an attacker in the network can forge any identity",
            "明文 http 下，网络中的攻击者可以伪造任何身份"
        );
        return Err(error(
            message,
            text!(
                "use https://; http only on this machine",
                "请用 https://；http 只能用于本机"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Result<Addresses, AddressError> {
        Addresses::of(&toml::from_str(text).unwrap())
    }

    #[test]
    fn the_validation_path_follows_from_version_and_proxies() {
        let proxies = "proxies = ['https://portal.corp.example/proxy']";
        for (settings, path) in [
            ("version = '1.0'", "/validate"),
            ("version = '2.0'", "/serviceValidate"),
            ("version = '3.0'", "/p3/serviceValidate"),
            ("", "/p3/serviceValidate"),
            (&format!("version = '2.0'\n{proxies}"), "/proxyValidate"),
            (proxies, "/p3/proxyValidate"),
        ] {
            let found = addresses(&format!("url = 'https://sso.corp.example/cas'\n{settings}"));
            let expected = format!("https://sso.corp.example/cas{path}");
            assert_eq!(found.unwrap().validate.as_str(), expected, "{settings}");
        }
    }

    #[test]
    fn slashes_and_the_login_page_at_the_end_of_the_base_url_are_cut() {
        for (url, base) in [
            (
                "https://sso.corp.example/cas",
                "https://sso.corp.example/cas",
            ),
            (
                "https://sso.corp.example/cas/",
                "https://sso.corp.example/cas",
            ),
            (
                "https://sso.corp.example/cas/login",
                "https://sso.corp.example/cas",
            ),
            (
                "https://sso.corp.example/cas/login/",
                "https://sso.corp.example/cas",
            ),
            ("https://sso.corp.example", "https://sso.corp.example"),
            ("https://sso.corp.example/login", "https://sso.corp.example"),
            (
                "https://sso.corp.example/mylogin",
                "https://sso.corp.example/mylogin",
            ),
            ("http://127.0.0.1:8080/cas", "http://127.0.0.1:8080/cas"),
        ] {
            let found = addresses(&format!("url = '{url}'")).unwrap();
            assert_eq!(found.login.as_str(), format!("{base}/login"), "{url}");
            assert_eq!(found.logout.as_str(), format!("{base}/logout"), "{url}");
        }
    }

    #[test]
    fn an_unusable_url_is_refused_at_its_key() {
        let base = "https://sso.corp.example/cas";
        for (key, bad) in [
            ("url", "http://sso.corp.example/cas"),
            ("url", "https://sso.corp.example/cas?x=1"),
            ("url", "https://sso.corp.example/cas#x"),
            ("url", "https://me:pw@sso.corp.example/cas"),
            ("url", "ftp://sso.corp.example/cas"),
            ("login_url", "http://sso.corp.example/login"),
            ("validate_url", "http://sso.corp.example/validate"),
            ("logout_url", "mailto:a@corp.example"),
        ] {
            let text = match key {
                "url" => format!("url = '{bad}'"),
                _ => format!("url = '{base}'\n{key} = '{bad}'"),
            };
            assert_eq!(
                addresses(&text).map_err(|error| error.key),
                Err(key),
                "{bad}"
            );
        }
    }

    #[test]
    fn allow_http_accepts_plain_http_and_nothing_else() {
        for (url, is_accepted) in [
            ("http://sso.corp.example/cas", true),
            ("ftp://sso.corp.example/cas", false),
            ("http://me:pw@sso.corp.example/cas", false),
            ("http://sso.corp.example/cas#x", false),
        ] {
            let text = format!("url = '{url}'\nallow_http = true");
            assert_eq!(addresses(&text).is_ok(), is_accepted, "{url}");
        }
    }

    #[test]
    fn each_url_may_be_given() {
        let found = addresses(
            "url = 'https://a.example'\nlogin_url = 'https://b.example/in?brand=1'\n\
             validate_url = 'http://127.0.0.1/v'\nlogout_url = 'https://c.example/out'",
        );
        let found = found.unwrap();
        let urls = [found.login, found.validate, found.logout].map(String::from);
        let expected = [
            "https://b.example/in?brand=1",
            "http://127.0.0.1/v",
            "https://c.example/out",
        ];
        assert_eq!(urls, expected);
    }
}
