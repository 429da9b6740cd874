//! `check --online`: checks the metadata of the identity provider and the dates of certificates, and prints
//! what an administrator enters there.

use std::time::Duration;

use super::super::Finding;
use super::Saml;
use super::certificates::Certificate;
use super::metadata::{Endpoint, Endpoints, IdpMetadata};
use crate::clock::Timestamp;
use crate::keys::certificate::Validity;
use crate::setting::sends_in_clear_text;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// A certificate that expires earlier than this is reported.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// Checks everything that needs no login. Each finding is one line of output.
pub(super) async fn examine(saml: &Saml) -> Vec<Finding> {
    let mut findings = registration(saml);
    findings.extend(own_certificate(saml));
    let idp = match saml.metadata.current().await {
        Ok(idp) => idp,
        Err(error) => {
            findings.push(Finding::bad(text!(
                "metadata: {}",
                "元数据：{:#}",
                error_chain(&error)
            )));
            return findings;
        }
    };
    findings.push(Finding::good(text!(
        "the metadata describes {}",
        "元数据描述的是 {}",
        idp.entity_id
    )));
    let now = saml.clock.now();
    findings.extend(validity_of_metadata(&idp, now));
    findings.extend(certificates(&idp.certificates, now));
    findings.extend(services(saml, &idp));
    findings
}

/// What an administrator enters at the identity provider.
fn registration(saml: &Saml) -> Vec<Finding> {
    let provider = &saml.provider;
    let mut lines = vec![
        text!(
            "register menshen at the identity provider by its metadata, {}",
            "请用元数据 {} 在认证源登记 menshen",
            provider.metadata
        ),
        text!(
            "or by hand: entity ID {}",
            "或者手工填写：entity ID {}",
            provider.entity_id
        ),
        text!(
            "or by hand: assertion consumer service {} (HTTP-POST)",
            "或者手工填写：断言使用服务（ACS）{}（HTTP-POST）",
            provider.consumer
        ),
    ];
    lines.push(match provider.key {
        Some(_) => text!(
            "or by hand: single logout service {} (HTTP-Redirect and HTTP-POST), and the certificate \
             of `certificate`",
            "或者手工填写：单点退出服务（SLO）{}（HTTP-Redirect 和 HTTP-POST），以及 `certificate` \
             的证书",
            provider.logout
        ),
        None => text!(
            "without private_key requests are not signed, and there is no single logout",
            "没有 private_key 时，请求不签名，也没有单点退出"
        ),
    });
    lines.into_iter().map(Finding::good).collect()
}

fn own_certificate(saml: &Saml) -> Option<Finding> {
    let key = saml.provider.key.as_ref()?;
    let validity = Certificate::of_der(&key.certificate).validity?;
    dates(&Text::same("certificate"), validity, saml.clock.now())
}

fn validity_of_metadata(idp: &IdpMetadata, now: Timestamp) -> Option<Finding> {
    let end = idp.valid_until?;
    let text = text!(
        "the metadata is valid until {end}",
        "元数据的有效期至 {end}"
    );
    Some(match end.since(now) < Duration::from_secs(86_400) {
        true => Finding::bad(text!(
            "{text}: logins fail then unless newer metadata is served",
            "{text:#}：到期后如果没有新的元数据，登录会失败"
        )),
        false => Finding::good(text),
    })
}

/// A line for each certificate that cannot be used, has expired or expires soon.
fn certificates(certificates: &[Certificate], now: Timestamp) -> Vec<Finding> {
    let usable = certificates.iter().filter(|it| it.key.is_ok()).count();
    let mut findings = vec![Finding::good(text!(
        "certificates whose keys verify signatures: {usable}",
        "可用于验证签名的证书：{usable} 张"
    ))];
    for (number, certificate) in certificates.iter().enumerate() {
        let name = text!(
            "signing certificate {} of the metadata",
            "元数据的签名证书 {}",
            number + 1
        );
        if let Err(error) = &certificate.key {
            findings.push(Finding::bad(text!(
                "{name} is not used: {error}",
                "{name:#} 不会使用：{error:#}"
            )));
        }
        let validity = certificate.validity;
        findings.extend(validity.and_then(|validity| dates(&name, validity, now)));
    }
    findings
}

fn dates(name: &Text, validity: Validity, now: Timestamp) -> Option<Finding> {
    let Validity {
        not_before,
        not_after,
    } = validity;
    let text = if now < not_before {
        text!(
            "{name}: it is not valid before {not_before}",
            "{name:#}：{not_before} 之前无效"
        )
    } else if now > not_after {
        text!(
            "{name}: it expired at {not_after}; menshen still accepts it, but replace it",
            "{name:#}：已于 {not_after} 过期；menshen 仍然接受，但请更换"
        )
    } else if not_after.since(now) < SOON {
        text!(
            "{name}: it expires soon, at {not_after}",
            "{name:#}：即将于 {not_after} 过期"
        )
    } else {
        return None;
    };
    Some(Finding::bad(text))
}

fn services(saml: &Saml, idp: &IdpMetadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, service) in [
        (text!("login", "登录"), &idp.sign_on),
        (text!("logout", "退出"), &idp.logout),
    ] {
        for endpoint in endpoints(service) {
            if sends_in_clear_text(&endpoint.location) {
                let text = text!(
                    "its {name} service is plain http: {}",
                    "它的{name:#}地址是明文 http：{}",
                    endpoint.location
                );
                findings.push(Finding::bad(text));
            }
        }
    }
    if idp.wants_signed_requests && saml.provider.key.is_none() {
        findings.push(Finding::bad(text!(
            "it wants signed requests: add private_key and certificate",
            "它要求请求签名：请加上 private_key 和 certificate"
        )));
    }
    if idp.logout == Endpoints::default() {
        findings.push(Finding::good(
            text!(
                "it has no single logout service: signing out of menshen does not sign people out there",
                "它没有单点退出服务：从 menshen 退出时，在认证源不会退出"
            ),
        ));
    }
    findings
}

fn endpoints(service: &Endpoints) -> impl Iterator<Item = &Endpoint> {
    service.redirect.iter().chain(&service.post)
}
