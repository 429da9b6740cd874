//! `saml2`: a SAML 2.0 identity provider.

use serde_json::Value;

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use super::cas::is_clear_text;

const METADATA: &str = "saml.metadata";
const ALLOW_HTTP: &str = "saml.allow_http";

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft) {
    let metadata = form.required_url("idpMetadataUrl");
    if metadata.as_deref().is_some_and(is_clear_text) {
        draft.imply(ALLOW_HTTP, true);
    }
    draft.say_if("idpMetadataUrl", METADATA, metadata);
    let key = form.secret_pem("privateKey");
    draft.say_secret("privateKey", "saml.private_key", key);
    let certificate = form.pem("certificate");
    draft.say_if("certificate", "saml.certificate_pem", certificate);
    let entity_id = form.sent_as(["entityId", "entityID"]);
    let text = form.text(entity_id);
    draft.say_if(entity_id, "saml.entity_id", text);
    every_kind::read_login(form, draft, Shape::Friendly);
    every_kind::read(form, draft, Shape::Friendly);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    let metadata = rest.take_text(METADATA);
    if metadata.as_deref().is_some_and(is_clear_text) {
        rest.take_if(ALLOW_HTTP, &Value::from(true));
    }
    fields.put_if("idpMetadataUrl", metadata);
    fields.put_secret("privateKey", rest, "saml.private_key");
    fields.put_if("certificate", rest.take_text("saml.certificate_pem"));
    fields.put_if("entityId", rest.take_text("saml.entity_id"));
    every_kind::show_login(rest, fields, Shape::Friendly);
    every_kind::show(rest, fields, Shape::Friendly);
}
