//! `[connector.ID.oidc]`: who we are to an issuer, and how its answers come back.

use super::Findings;
use crate::config::place::Place;
use crate::issuer::TenantName;
use crate::login::config::ConnectorConfig;
use crate::login::connector::oidc::{Config, ResponseMode};

pub(super) fn look<'a>(
    findings: &mut Findings<'a>,
    place: &Place<'a>,
    connector: &'a ConnectorConfig,
    oidc: &'a Config,
) {
    if oidc.tenants.contains(&TenantName::Any) && !connector.link_by.is_empty() {
        let help = "an administrator of any organisation can write any address into its people: name \
                    the tenants that you trust with that";
        let message = "with tenants = [\"*\"] anybody could become anybody";
        findings.value(&place.clone().key("link_by"), message, help);
    }
    let place = place.clone().key("oidc");
    for (key, why) in oidc.contradictions() {
        let message = format!("{key} makes no sense");
        findings.value(&place.clone().key(key), message, why);
    }
    let external = &findings.config.server.external_url;
    if oidc.response_mode == ResponseMode::FormPost && !external.secure() {
        let help = "browsers send no cookie with such a POST over plain http: make external_url \
                    https:// or remove this key";
        let message = "no answer would ever be taken";
        findings.value(&place.key("response_mode"), message, help);
    }
}
