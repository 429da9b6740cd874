//! `yunzhijia`: 云之家. The manual lists it without its fields.

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use super::{Before, required_secret};

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    let id = form.required("appId");
    draft.say_if("appId", "yunzhijia.app_id", id);
    required_secret(form, draft, before, ("appSecret", "yunzhijia.app_secret"));
    let eid = form.required("eid");
    draft.say_if("eid", "yunzhijia.eid", eid);
    every_kind::read_login(form, draft, Shape::Plain);
    every_kind::read(form, draft, Shape::Plain);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    fields.put_if("appId", rest.take_text("yunzhijia.app_id"));
    fields.put_secret("appSecret", rest, "yunzhijia.app_secret");
    fields.put_if("eid", rest.take_text("yunzhijia.eid"));
    every_kind::show_login(rest, fields, Shape::Plain);
    every_kind::show(rest, fields, Shape::Plain);
}
