//! `lark`: 飞书.

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use super::{Before, required_secret};

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    let id = form.required("appId");
    draft.say_if("appId", "lark.app_id", id);
    required_secret(form, draft, before, ("appSecret", "lark.app_secret"));
    every_kind::read_login(form, draft, Shape::Plain);
    every_kind::read(form, draft, Shape::Plain);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    fields.put_if("appId", rest.take_text("lark.app_id"));
    fields.put_secret("appSecret", rest, "lark.app_secret");
    every_kind::show_login(rest, fields, Shape::Plain);
    every_kind::show(rest, fields, Shape::Plain);
}
