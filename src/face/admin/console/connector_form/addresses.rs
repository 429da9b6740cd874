//! The addresses of menshen that are entered at the source.

use url::Url;

use super::field::Place;
use super::fields::KindForm;
use super::table::{self, Members};
use crate::face::page::Lang;
use crate::site::Site;
use crate::store::ConnectorId;

/// An address, and where it is entered.
#[derive(Debug)]
pub(super) struct ShownAddress {
    pub(super) label: &'static str,
    pub(super) value: String,
}

/// The placeholder for the ID of a connector that has none yet.
const ANY_ID: &str = "ID";

/// The addresses for a connector with these settings.
pub(super) fn of(
    site: &Site,
    form: &KindForm,
    id: Option<&ConnectorId>,
    settings: &Members,
    lang: Lang,
) -> Vec<ShownAddress> {
    let id = id.map_or(ANY_ID, ConnectorId::as_str);
    let callback = callback(site, id, settings);
    let own = |path: &str| {
        let origin = site.external_url.origin().ascii_serialization();
        format!("{origin}{}{path}", site.prefix)
    };
    let value = |place| match place {
        Place::Callback => callback.clone(),
        Place::CallbackHost => host_of(&callback),
        Place::Start => own(&format!("/start?connector={id}")),
        Place::Enter => own(&format!("/enter/{id}")),
        Place::Events => own(&format!("/events/{id}")),
        Place::Metadata => own(&format!("/saml/{id}/metadata")),
    };
    let addresses = form.addresses.iter();
    addresses
        .map(|address| ShownAddress {
            label: lang.pick(address.label),
            value: value(address.place),
        })
        .collect()
}

fn callback(site: &Site, id: &str, settings: &Members) -> String {
    let text = |key| table::get(settings, key).and_then(|value| value.as_str());
    if let Some(callback) = text("callback") {
        return callback.to_owned();
    }
    let base = text("callback_base").and_then(|base| Url::parse(base).ok());
    let base = base.filter(|base| base.origin().is_tuple());
    let origin = base.as_ref().unwrap_or(&site.external_url).origin();
    format!(
        "{}{}/callback/{id}",
        origin.ascii_serialization(),
        site.prefix
    )
}

/// Host and port, as sources want them.
fn host_of(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return String::new();
    };
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
