//! `impl Kind` for `[connector.ID.saml]`: problems, warnings and features of the settings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::{
    Callback, CallbackMethod, Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps,
    EntryPlace, EntryPoint, Features, Kind, LoginMethod, SettingProblem,
};
use super::config::{Encrypted, MetadataSource};
use super::metadata_cache::REFRESH_MIN;
use super::names::{RELAY_STATE, RESPONSE_FIELD, TRANSIENT};
use super::response::MESSAGE_BYTES_MAX;
use super::service_provider::written_key_problems;
use super::{Config, Saml};
use crate::expression::Scope;
use crate::login::pending::Mode;
use crate::secret::SecretSource;
use crate::setting::{KeyPath, sends_in_clear_text};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "saml";

/// The largest form with a response, in bytes: base64 of the message, with line breaks, percent-encoded.
const FORM_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// The longest entity ID, in bytes (SAML 2.0 core §8.3.6).
const ENTITY_ID_BYTES_MAX: usize = 1024;

/// Above this value `check` warns.
const USUAL_SKEW_MAX: Duration = Duration::from_secs(300);

/// The first of the usual names of each attribute that the assertion has.
const MAPPING: &[(&str, &str)] = &[
    (
        "login",
        "has(profile.attributes.uid) ? profile.attributes.uid : \
         'urn:oid:0.9.2342.19200300.100.1.1' in profile.attributes ? \
         profile.attributes['urn:oid:0.9.2342.19200300.100.1.1'] : \
         profile.name_id_format in ['urn:oasis:names:tc:SAML:2.0:nameid-format:persistent', \
         'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'] ? '' : profile.name_id",
    ),
    (
        "name",
        "has(profile.attributes.displayName) ? profile.attributes.displayName : \
         'urn:oid:2.16.840.1.113730.3.1.241' in profile.attributes ? \
         profile.attributes['urn:oid:2.16.840.1.113730.3.1.241'] : profile.attributes.cn",
    ),
    (
        "email",
        "has(profile.attributes.mail) ? profile.attributes.mail : \
         'urn:oid:0.9.2342.19200300.100.1.3' in profile.attributes ? \
         profile.attributes['urn:oid:0.9.2342.19200300.100.1.3'] : \
         profile.attributes['http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress']",
    ),
    (
        "groups",
        "has(profile.attributes.groups) ? profile.attributes.groups : \
         has(profile.attributes.memberOf) ? profile.attributes.memberOf : \
         has(profile.attributes.Role) ? profile.attributes.Role : \
         profile.attributes['http://schemas.microsoft.com/ws/2008/06/identity/claims/groups']",
    ),
];

fn key_path(key: &str) -> KeyPath<'_> {
    KeyPath::of([NAME, key])
}

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let private_key = self.private_key.iter();
        private_key
            .map(|secret| (key_path("private_key"), secret))
            .collect()
    }

    fn files(&self) -> Vec<(KeyPath<'_>, &Path)> {
        let metadata = self.metadata.file();
        let metadata = metadata.map(|path| (key_path("metadata").key("file"), path));
        let certificates = [
            ("metadata_certificate", &self.metadata_certificate),
            ("certificate", &self.certificate),
        ];
        let certificates = certificates
            .into_iter()
            .filter_map(|(key, path)| Some((key_path(key), path.as_deref()?)));
        metadata.into_iter().chain(certificates).collect()
    }

    fn expressions(&self) -> Vec<(KeyPath<'_>, &str, Scope)> {
        let subject = self.subject.iter();
        subject
            .map(|text| (key_path("subject"), text.as_str(), Scope::Mapping))
            .collect()
    }

    fn problems(&self, connector: &ConnectorConfig, external_url: &Url) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        problems.extend(https_problem(connector, external_url));
        problems.extend(self.metadata_problems());
        problems.extend(self.key_problems());
        problems.extend(self.name_problems());
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        let mut warn = |key, text: Text| warnings.push((key_path(key), text));
        if self.allow_http {
            let text = text!(
                "an attacker in the network can replace metadata from plain http and so forge any \
                        identity: use https://, and remove this key",
                "网络中的攻击者可以替换经明文 http 取得的元数据，从而伪造任何身份：请用 https://，并删除这个键"
            );
            warn("allow_http", text);
        }
        if self.allow_sha1 {
            let text = text!(
                "signatures with SHA-1 can be forged with effort: let the identity provider sign with \
                        SHA-256, and remove this key",
                "SHA-1 签名可以被伪造：请让身份提供方用 SHA-256 签名，并删除这个键"
            );
            warn("allow_sha1", text);
        }
        if self.allow_cbc {
            let text = text!(
                "AES-CBC does not notice alterations: let the identity provider encrypt with AES-GCM, \
                        and remove this key",
                "AES-CBC 发现不了篡改：请让身份提供方用 AES-GCM 加密，并删除这个键"
            );
            warn("allow_cbc", text);
        }
        if self.idp_initiated {
            let text = text!(
                "any web page can sign a person in with an assertion of its own choice: let people \
                        start at menshen, and remove this key",
                "任何网页都能用自选的断言让人登录：请让人从 menshen 开始登录，并删除这个键"
            );
            warn("idp_initiated", text);
        }
        if self.clock_skew.duration() > USUAL_SKEW_MAX {
            let text = text!(
                "expired assertions are accepted this long: correct the clocks instead",
                "过期的断言还会被接受这么久：请改为校准时钟"
            );
            warn("clock_skew", text);
        }
        if self.subject.is_none() && self.restricting_format().is_none() {
            let text = text!(
                "a NameID of any format is accepted, and where the identity provider lets the request \
                        choose it, the person can: add `name_id_format`, the format that it sends, or \
                        `subject`, an attribute that identifies the person",
                "任何格式的 NameID 都被接受；身份提供方允许请求方选择格式时，登录的人就能选：请加上 `name_id_format`（它发送的格式），或 `subject`（能确定人员的属性）"
            );
            warnings.push((KeyPath::of([NAME]), text));
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            // `IsPassive` is part of the protocol.
            silent_in: &[Mode::Web, Mode::InApp],
            login_method: LoginMethod::Callback(Callback {
                flow_parameter: RELAY_STATE.into(),
                method: CallbackMethod::Post,
                form_bytes_max: FORM_BYTES_MAX,
                response_parameter: Some(RESPONSE_FIELD),
                ..Callback::default()
            }),
            entry_point: self.idp_initiated.then(|| EntryPoint {
                parameter: RESPONSE_FIELD.into(),
                origins: Vec::new(),
                on_routes: false,
                place: EntryPlace::Callback {
                    return_field: RELAY_STATE,
                    token_bytes_max: FORM_BYTES_MAX,
                },
            }),
            reports_acr: true,
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Saml::build(self, deps)?))
    }
}

/// The response is a POST from another site, with which browsers send only `Secure` cookies.
fn https_problem<'a>(
    connector: &ConnectorConfig,
    external_url: &Url,
) -> Option<SettingProblem<'a>> {
    let help = text!(
        "the identity provider posts to menshen, and over plain http browsers send no cookie with a \
                POST from another site: write https://",
        "身份提供方用 POST 发给 menshen，而明文 http 下浏览器不会在别的网站发起的 POST 中带上 Cookie：请写 https://"
    );
    if external_url.scheme() != "https" {
        let message = text!(
            "saml needs an external_url with https",
            "saml 需要 https 的 external_url"
        );
        return Some(SettingProblem::key(KeyPath::of([NAME]), message, help));
    }
    let urls = [
        ("callback_base", &connector.callback_base),
        ("callback", &connector.callback),
    ];
    let mut plain = urls.into_iter().filter(|(_, url)| {
        let url = url.as_ref();
        url.is_some_and(|url| url.scheme() != "https")
    });
    let (key, _) = plain.next()?;
    let message = text!("saml needs https here", "saml 在这里需要 https");
    Some(SettingProblem::value(KeyPath::of([key]), message, help))
}

impl Config {
    fn metadata_problems(&self) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        if let MetadataSource::Url(url) = &self.metadata {
            let has_credentials = !url.username().is_empty() || url.password().is_some();
            let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
            let problem = if !is_web || has_credentials || url.fragment().is_some() {
                let help = text!(
                    "a URL with https:// and a host, without user, password and fragment",
                    "应为带 https:// 和主机的 URL，不带用户名、密码和片段"
                );
                Some((
                    text!(
                        "this cannot be the URL of metadata",
                        "这不能用作元数据的 URL"
                    ),
                    help,
                ))
            } else if sends_in_clear_text(url) && !self.allow_http {
                let message = text!(
                    "over plain http an attacker in the network can forge any identity",
                    "明文 http 下，网络中的攻击者可以伪造任何身份"
                );
                Some((
                    message,
                    text!(
                        "use https://; http only on this machine",
                        "请用 https://；http 只能用于本机"
                    ),
                ))
            } else {
                None
            };
            let problem = problem
                .map(|(message, help)| SettingProblem::value(key_path("metadata"), message, help));
            problems.extend(problem);
        }
        if self.metadata_refresh.duration() < REFRESH_MIN {
            let message = text!(
                "metadata_refresh must be at least 10s",
                "metadata_refresh 至少为 10s"
            );
            let path = key_path("metadata_refresh");
            problems.push(SettingProblem::value(
                path,
                message,
                text!("such as \"1h\"", "例如 \"1h\""),
            ));
        }
        problems
    }

    fn key_problems(&self) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        if self.certificate.is_some() && self.certificate_pem.is_some() {
            let message = text!(
                "`certificate` and `certificate_pem` exclude each other",
                "`certificate` 和 `certificate_pem` 只能写一个"
            );
            let path = key_path("certificate_pem");
            problems.push(SettingProblem::key(
                path,
                message,
                text!("keep one of them", "请保留其中一个"),
            ));
        }
        for (key, message) in written_key_problems(self) {
            let help = text!(
                "a private key (RSA, at least 2048 bits) and its certificate, both in PEM",
                "应为私钥（RSA，至少 2048 位）和它的证书，都用 PEM 格式"
            );
            problems.push(SettingProblem::value(key_path(key), message, help));
        }
        let (certificate_key, has_certificate) = match &self.certificate_pem {
            Some(_) => ("certificate_pem", true),
            None => ("certificate", self.certificate.is_some()),
        };
        match (self.private_key.is_some(), has_certificate) {
            (true, false) => {
                let message = text!(
                    "private_key needs its certificate",
                    "private_key 需要它的证书"
                );
                let help = text!(
                    "add `certificate`, the PEM file with the certificate of this key",
                    "请加上 `certificate`，即这个私钥的证书（PEM 文件）"
                );
                problems.push(SettingProblem::key(key_path("private_key"), message, help));
            }
            (false, true) => {
                let message = text!(
                    "certificate needs its private_key",
                    "certificate 需要它的 private_key"
                );
                let help = text!(
                    "add `private_key`, the key of this certificate, or remove `certificate`",
                    "请加上 `private_key`（这个证书的私钥），或删除 `certificate`"
                );
                let path = key_path(certificate_key);
                problems.push(SettingProblem::key(path, message, help));
            }
            (true, true) | (false, false) => {}
        }
        if self.encrypted == Encrypted::Required && self.private_key.is_none() {
            let message = text!(
                "without private_key nothing encrypted can be opened",
                "没有 private_key，加密的内容都打不开"
            );
            let help = text!(
                "add `private_key` and `certificate`, or remove `encrypted`",
                "请加上 `private_key` 和 `certificate`，或删除 `encrypted`"
            );
            problems.push(SettingProblem::value(key_path("encrypted"), message, help));
        }
        problems
    }

    fn name_problems(&self) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        let ids = [
            ("entity_id", &self.entity_id),
            ("idp_entity_id", &self.idp_entity_id),
        ];
        for (key, id) in ids {
            let is_usable = |id: &String| {
                let id = id.as_str();
                !id.is_empty() && id.len() <= ENTITY_ID_BYTES_MAX && id.trim() == id
            };
            if id.as_ref().is_some_and(|id| !is_usable(id)) {
                let message = text!("this cannot be an entity ID", "这不能用作实体 ID");
                let help = text!(
                    "a URI of at most 1024 bytes, without blanks around it",
                    "应为不超过 1024 字节的 URI，前后没有空白"
                );
                problems.push(SettingProblem::value(key_path(key), message, help));
            }
        }
        if self.name_id_format.is_some() && self.name_id_format().is_none() {
            let message = text!("this is not the format of a NameID", "这不是 NameID 的格式");
            let help = text!(
                "persistent, transient, email, unspecified, or a URN that begins with urn:",
                "应为 persistent、transient、email、unspecified，或以 urn: 开头的 URN"
            );
            problems.push(SettingProblem::value(
                key_path("name_id_format"),
                message,
                help,
            ));
        }
        if self.name_id_format() == Some(TRANSIENT) && self.subject.is_none() {
            let message = text!(
                "a transient NameID is another one at each login",
                "transient 的 NameID 每次登录都不同"
            );
            let help = text!(
                "add `subject`, an attribute that identifies the person",
                "请加上 `subject`，即能确定人员的属性"
            );
            problems.push(SettingProblem::value(
                key_path("name_id_format"),
                message,
                help,
            ));
        }
        problems
    }
}
